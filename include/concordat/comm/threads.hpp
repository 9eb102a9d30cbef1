// The `threads` back end: N ranks as threads of one process, for tests and small solo runs.
//
//   run_threads(4, [](comm::Communicator& comm) {
//     EXPECT_EQ(comm.size(), 4);
//     comm.barrier();
//   });
#pragma once

#include <chrono>
#include <functional>

#include "concordat/comm/communicator.hpp"

namespace concordat::comm {

struct CommOptions {
  /// A wait that sees no progress for this long throws Error(comm.stalled).
  std::chrono::milliseconds stall_timeout{900'000};
  /// Longer messages travel in parts; below 2^31. Tests set a few bytes.
  std::size_t max_message_bytes = std::size_t{1} << 30U;
};

/// Runs `rank_main` on `num_ranks` threads, each with its own Communicator, and joins them.
/// If one throws, the others' waits throw Error(comm.peer_failed) and the first exception is
/// rethrown here. @pre num_ranks >= 1.
void run_threads(int num_ranks, const std::function<void(Communicator&)>& rank_main,
                 const CommOptions& options = {});

}  // namespace concordat::comm
