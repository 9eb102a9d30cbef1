// Interlink: letters of bytes between the coordinator and the borders of sites that share one MPI
// job. It is made by Runtime::split, never for a training rank, and only src/comm/,
// src/border/mpi_* and the one file of src/cli/ that composes the mpi road may name it (a test
// holds that).
//
//   Bytes request = ...;
//   if (!link.send(0, number, request, 5s)) ...              // an earlier letter is still on its
//   way while (!stopping) {
//     if (auto letter = link.receive(0, 50ms)) break;        // one slice of waiting
//   }
//   link.leave();                                            // before the Runtime ends
//
// Between two ends letters arrive whole and in order, each at most max_letter_bytes; nothing is
// lost and nobody else can write here. It gives no isolation between the parties: they trust the
// processes of one job.
//
// Threads: each peer's calls from one thread at a time, different peers' at the same time; leave()
// when no other call is under way. Every MPI call goes through the transport's mutex and none
// blocks, so thread level SERIALIZED is enough and no thread of its own is needed.
// Failure: Error(comm.peer_failed) once any process of the job failed; Error(comm.letter_refused)
// for what is no letter, and then for every later call with that peer.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "concordat/core/bytes.hpp"

namespace concordat::comm {

class Interlink {
 public:
  static constexpr std::uint64_t max_letter_bytes = std::uint64_t{64} << 20U;

  struct Letter {
    std::uint64_t number = 0;  ///< the sender's, of any meaning
    Bytes bytes{};
  };

  virtual ~Interlink() = default;

  /// Names of the parties at the other ends: the coordinator has the borders' sites, in the order
  /// of their ranks in the job; a border has the coordinators (one, unless the job is wrong).
  virtual const std::vector<std::string>& peers() const = 0;

  /// Moves `bytes` away and returns true as soon as the letter is on its way; one is at a time.
  /// False, and nothing taken, if an earlier one is not through within `wait`.
  /// @pre bytes.size() <= max_letter_bytes, and leave() was not called.
  virtual bool send(int peer, std::uint64_t number, Bytes& bytes,
                    std::chrono::milliseconds wait) = 0;
  /// Whether everything sent to `peer` is through; waits up to `wait` for that.
  virtual bool sent(int peer, std::chrono::milliseconds wait) = 0;

  /// The next letter; nullopt when none is here whole within `wait`. `admit`, if given, is called
  /// with a letter's length before memory is taken for it, once a letter; it may wait.
  virtual std::optional<Letter> receive(int peer, std::chrono::milliseconds wait,
                                        const std::function<void(std::uint64_t bytes)>& admit) = 0;
  std::optional<Letter> receive(int peer, std::chrono::milliseconds wait) {
    return receive(peer, wait, {});
  }

  /// The peer left; nothing comes from it and it reads nothing any more.
  virtual bool left(int peer) = 0;

  /// Collective over all parties: says that nothing more will be sent or read here, then drops what
  /// comes until all peers have said so too. For as long as they take: a failure ends it.
  virtual void leave() = 0;
};

}  // namespace concordat::comm
