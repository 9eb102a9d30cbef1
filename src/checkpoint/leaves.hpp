// Hashing parts of datasets on several threads.
#pragma once

#include <functional>
#include <vector>

#include "concordat/core/bytes.hpp"
#include "concordat/core/tensor.hpp"

namespace concordat::checkpoint {

/// Of one length.
inline constexpr int blocks_hashed_at_once = 16;

/// Processors that this process may use.
int num_processors();
/// Threads of this rank beside training, which wants all processors: one on each, for a moment.
/// Training waits for its slowest thread, so one thread alone would stop all for longer.
int hashing_threads_beside_training();

/// The leaves of each part, block by block (an empty part has none). The threads, the caller's one
/// of them, take pieces in order. Stops early, with leaves that mean nothing, once `given_up` says
/// so; any thread asks it.
std::vector<std::vector<Digest>> leaves_of(const std::vector<Tensor>& parts, int num_threads,
                                           const std::function<bool()>& given_up);

}  // namespace concordat::checkpoint
