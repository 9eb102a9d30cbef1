// Communicator: a group of ranks of one site and what they can do together.
//
//   void train(comm::Communicator& comm, Stream& stream) {
//     comm.all_reduce(gradient, comm::ReduceOp::sum, stream);   // in stream order
//     Bytes plan;
//     if (comm.rank() == 0) plan = make_plan();
//     comm.broadcast_bytes(plan, 0);                            // host, returns when done
//     auto column = comm.split(comm.rank() % 2, comm.rank());   // owns its sub-group
//   }
//
// Back ends: self_communicator(), run_threads() (threads.hpp), Runtime (runtime.hpp, MPI).
//
// Every function is "Collective over `comm`" unless it says otherwise: all ranks call the same
// functions in the same order with matching sizes. Threads: one host thread makes the calls; the
// work of a tensor collective may run on its stream's thread at the same time.
//
// Failure: a rank that fails calls fail(); every wait of the others then throws
// Error(comm.peer_failed) naming it. A wait without progress throws Error(comm.stalled). After
// either the group and all groups split from it are dead: every later call throws the same.
// A rank that waits for the outside world for long (a border, a queue) polls and broadcasts "not
// yet" every second or so, so that the watchdog of the others sees it live.
//
// Device tensors: a back end whose memory the host does not reach has a Communicator of its own
// (device::Backend::communicator); host tensors and bytes go by this one's rules everywhere.
//
// Bits: reductions are ours. The order is a fixed binary tree over ranks ((0+1)+(2+3))+..., so a
// sum depends on the number of ranks and on nothing else. bf16 sums accumulate in fp32 and
// round once; integer sums wrap; min and max return NaN when any operand is NaN.
#pragma once

#include <chrono>
#include <exception>
#include <memory>
#include <span>
#include <vector>

#include "concordat/comm/errors.hpp"
#include "concordat/comm/handle.hpp"
#include "concordat/core/bytes.hpp"
#include "concordat/core/stream.hpp"
#include "concordat/core/tensor.hpp"

namespace concordat::comm {

enum class ReduceOp { sum, min, max };

/// Messages with `tag`, each from a rank to the one that is `hop` places on, around the ends.
struct Channel {
  int tag = 0;
  int hop = 1;
  bool operator==(const Channel&) const = default;
};

class Communicator {
 public:
  virtual ~Communicator() = default;
  Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  /// Not collective. 0 <= rank() < size().
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Tensor collectives, enqueued in `stream`. Tensors are contiguous, of any Dtype (reductions: not
  // f16). Counts may exceed 2^31. Cost of all_reduce: 2 n (p-1)/p elements a rank.

  /// inout: the same shape on all ranks; the same bits on all ranks afterwards.
  virtual Handle all_reduce(Tensor inout, ReduceOp op, Stream& stream) = 0;
  /// out holds size() times the elements of in, in rank order.
  virtual Handle all_gather(Tensor out, Tensor in, Stream& stream) = 0;
  /// in holds size() times the elements of out; rank r gets the r-th part of the reduction.
  virtual Handle reduce_scatter(Tensor out, Tensor in, ReduceOp op, Stream& stream) = 0;
  virtual Handle broadcast(Tensor inout, int root, Stream& stream) = 0;

  // The two halves of all_reduce in place, over parts of any length: rank r has the elements
  // [bounds[r], bounds[r+1]) of the flat tensor. @pre size() + 1 ascending bounds, from 0 to the
  // element count, the same on all ranks. Cost of each: n (p-1)/p elements a rank.

  /// This rank's part becomes the reduction, with the bits of all_reduce; the others stay as they
  /// are.
  virtual Handle reduce_parts(Tensor inout, std::vector<std::int64_t> bounds, ReduceOp op,
                              Stream& stream) = 0;
  /// Every rank gets every part.
  virtual Handle gather_parts(Tensor inout, std::vector<std::int64_t> bounds, Stream& stream) = 0;

  /// Point to point, not collective. send() is buffered: the tensor may be overwritten by what
  /// follows in the stream, and two ranks may send to each other before they receive. Messages
  /// between two ranks with one tag arrive in order. @pre 0 <= tag < 65536, peer is not rank().
  virtual Handle send(Tensor tensor, int to, int tag, Stream& stream) = 0;
  virtual Handle recv(Tensor tensor, int from, int tag, Stream& stream) = 0;

  /// Collective, the same on all ranks: what messages of device tensors there may be from now on.
  /// For the Communicator of a device, which has a connection for each; others need no word of it.
  /// Naming a channel again is free.
  virtual void open_channels(const std::vector<Channel>&) {}

  // Host collectives; they return when this rank is done.

  /// Replaces `bytes` on all ranks by the root's.
  virtual void broadcast_bytes(Bytes& bytes, int root) = 0;
  /// At the root one entry a rank, elsewhere empty.
  virtual std::vector<Bytes> gather_bytes(ByteView mine, int root) = 0;
  virtual std::vector<Bytes> all_gather_bytes(ByteView mine) = 0;
  /// Entry r goes to rank r; entry r of the result came from rank r. @pre size() entries.
  virtual std::vector<Bytes> all_to_all_bytes(std::vector<Bytes> outgoing) = 0;
  virtual void barrier() = 0;

  /// A group of the ranks with the same `color`, ordered by (key, rank). It shares the fault
  /// channel of this one and may outlive it, but not the Runtime or run_threads() behind it.
  virtual std::unique_ptr<Communicator> split(int color, int key) = 0;

  /// Not collective: tells all ranks of the whole job that this one failed, so that no wait of
  /// theirs hangs. Never throws; the first call counts.
  virtual void fail(const std::exception& error) noexcept = 0;

  /// Not collective, returns at once. @throws Error(comm.peer_failed) once any rank failed.
  virtual void require_alive() = 0;
  /// How long a wait may see no progress.
  virtual std::chrono::milliseconds stall_timeout() const = 0;
};

/// Bounds of parts of `count` elements that are as equal as can be.
std::vector<std::int64_t> even_bounds(std::int64_t count, int parts);

/// A group of one, for solo runs and tests. Collectives are copies.
std::unique_ptr<Communicator> self_communicator();

/// Collective on host values, reduced in place: `double loss[1]; all_reduce_host<double>(...)`.
template <typename T>
void all_reduce_host(Communicator& comm, std::span<T> values, ReduceOp op) {
  InlineStream stream;
  auto storage = borrow_host_storage(reinterpret_cast<std::byte*>(values.data()),
                                     values.size_bytes(), nullptr);
  comm.all_reduce(Tensor(storage, 0, dtype_of<T>, {static_cast<std::int64_t>(values.size())}), op,
                  stream);
}

}  // namespace concordat::comm
