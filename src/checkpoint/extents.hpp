// Extents: how the bytes of a dataset are divided over ranks and blocks, hashed and verified.
//
// A dataset is cut into blocks of 2^tensor_block_log2 elements, whose hashes are RFC 6962 leaves. A
// rank's part is a contiguous run of them; small datasets go to one rank each, in turn, so that no
// rank gets them all.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "concordat/checkpoint/checkpoint.hpp"

namespace concordat::checkpoint {

inline constexpr int tensor_block_log2 = 16;

std::uint64_t extent_bytes(const Manifest::Dataset& dataset);

/// The part of dataset number `index` that rank `rank` reads and writes.
parallel::Slice part_of(std::size_t index, const Shape& shape, int rank, int num_ranks);

/// Elements of a dataset from its file, from element `begin` on.
void read_elements(File& file, const Manifest::Dataset& dataset, std::int64_t begin,
                   const Tensor& into);

/// Leaves by dataset, one list behind the other.
std::vector<Digest> flatten(const std::vector<std::vector<Digest>>& lists);

/// Roots of all datasets, from what is left in one reader a rank: its leaves in dataset order.
/// Pure.
std::vector<Digest> roots_of(std::vector<ByteReader>& leaves, const std::vector<Shape>& shapes);
/// Collective: the same from the leaves of this rank; the result is complete on every rank.
std::vector<Digest> gather_roots(comm::Communicator& comm, std::span<const Digest> mine,
                                 const std::vector<Shape>& shapes);

/// SHA-256 of the bytes of the file outside all extents.
Digest structure_digest(File& file, const Manifest& manifest);

}  // namespace concordat::checkpoint
