// The state digest: one hash of the shared state that is the same on every layout.
//
//   std::vector<Digest> mine;                           // of the blocks of this rank's slice
//   for (...) mine.push_back(state_leaf("model", block, bytes_of_block));
//   VectorLeaves model{"model", gather_leaves(comm, mine)};
//   Digest state = state_root(round, space.num_elements(), block_log2, {model, momentum, scales});
//
// Grammar and example: docs/formats/canonical-space.md. Vectors, in this order: "model" (fp32
// little-endian), each outer moment under its own name, "scales" (the public scales of the block's
// spans, fp32 or as the quantiser stores them).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "concordat/comm/communicator.hpp"
#include "concordat/core/bytes.hpp"
#include "concordat/core/ids.hpp"
#include "concordat/parallel/canonical_space.hpp"

namespace concordat::parallel {

/// Hash of one block of one vector. Pure.
Digest state_leaf(std::string_view vector, std::int64_t block, ByteView bytes);

struct VectorLeaves {
  std::string name;
  std::vector<Digest> leaves;  ///< one a block, in order
};

/// @pre every vector has as many leaves as the space has blocks.
Digest state_root(Round round, std::int64_t num_elements, int block_log2,
                  std::span<const VectorLeaves> vectors);

/// Leaves of a slice of an fp32 vector. `values` holds exactly the slice's elements.
std::vector<Digest> slice_leaves(std::string_view vector, const Slice& slice, int block_log2,
                                 std::span<const float> values);

/// Collective over `comm`: the leaves of all ranks, in rank order.
std::vector<Digest> gather_leaves(comm::Communicator& comm, std::span<const Digest> mine);

}  // namespace concordat::parallel
