// Transport: what a back end provides: bytes from rank to rank, without ever blocking, and the
// fault channel. All collectives are built on it once (collectives.cpp).
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "concordat/comm/communicator.hpp"
#include "concordat/comm/threads.hpp"

namespace concordat::comm {

/// One message under way; its buffer must outlive it. Destroying it before done() cancels it.
class Transfer {
 public:
  explicit Transfer(int peer) : peer_(peer) {}
  virtual ~Transfer() = default;
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  /// Makes progress; true once the message is through. @throws Error(comm.mpi_failed).
  virtual bool done() = 0;
  int peer() const { return peer_; }  ///< rank in the job

 private:
  int peer_;
};

using Transfers = std::vector<std::unique_ptr<Transfer>>;

/// How a message tag is divided: context (group), kind (collective or message), sequence.
struct TagLayout {
  int context_bits = 12;
  int sequence_bits = 18;
};

class Transport {
 public:
  explicit Transport(CommOptions options) : options_(options) {}
  virtual ~Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  virtual int rank() const = 0;  ///< in the job
  virtual int size() const = 0;
  virtual TagLayout tags() const = 0;
  /// Post one message of at most options().max_message_bytes. Messages between two ranks with
  /// one tag arrive in the order of posting.
  virtual std::unique_ptr<Transfer> send(int to, int tag, ByteView bytes) = 0;
  virtual std::unique_ptr<Transfer> receive(int from, int tag, ByteSpan into) = 0;
  /// Tells all other ranks; makes check() throw here too. Keeps the first failure.
  virtual void post_fault(const std::string& text, int exit_code) noexcept = 0;
  /// @throws Error(comm.peer_failed) once any rank posted a fault.
  virtual void check() = 0;
  /// One step of waiting; `idle_steps` counts those since the last progress.
  virtual void back_off(int idle_steps) = 0;

  const CommOptions& options() const { return options_; }
  int next_context = 1;  ///< see GroupCommunicator::split; 0 is the group of all ranks

  /// Takes over a buffer that is being sent. Waits for older ones beyond 256 MiB.
  void keep_until_sent(Bytes bytes, Transfers transfers);
  /// A buffer of at least so many bytes, of any content: one that was given back, where there is
  /// one. A step's reductions take the same ones again, so that they neither allocate nor clear.
  Bytes take_scratch(std::size_t bytes);
  void give_back(Bytes scratch) noexcept;
  /// Drops what has been sent.
  void reap();
  /// Waits until all kept buffers are sent, without throwing; false if that failed.
  bool drain() noexcept;

 private:
  struct Kept {
    Bytes bytes;
    Transfers transfers;
  };
  CommOptions options_;
  std::mutex kept_mutex_;
  std::vector<Kept> kept_;
  std::size_t kept_bytes_ = 0;
  std::mutex scratch_mutex_;
  std::vector<Bytes> scratch_;  ///< one for each thread that ever reduced at the same time
};

/// Posts a message of any length in parts.
void post_send(Transport& transport, Transfers& out, int to, int tag, ByteView bytes);
void post_receive(Transport& transport, Transfers& out, int from, int tag, ByteSpan into);

/// The one wait of the whole area: test, fault channel, watchdog, back-off. Empties `transfers`.
/// @throws Error(comm.peer_failed | comm.stalled | comm.mpi_failed).
void wait_all(Transport& transport, Transfers& transfers);

}  // namespace concordat::comm
