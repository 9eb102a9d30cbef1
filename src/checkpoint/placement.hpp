// Placement: whether every element lies where it belongs, by a sum that no layout changes.
//
// The sum of (2 i + 1) x_i modulo 2^64, i the element's index in its tensor and x_i its bits as an
// unsigned number. Whoever reads a part of a tensor adds over that part, whoever owns elements over
// those; what ranks add up to is then the same, or elements were lost, altered or exchanged. It
// finds faults, not forgery: what comes off the disk is proved by SHA-256 before.
#pragma once

#include "concordat/checkpoint/checkpoint.hpp"

namespace concordat::checkpoint {

/// Over consecutive elements of `width` bytes (1, 2, 4 or 8), the first one's index being `first`.
std::uint64_t placement_sum(ByteView elements, std::size_t width, std::int64_t first);

/// Over what this rank owns of the tensor.
std::uint64_t placement_sum(const NamedTensor& tensor);

}  // namespace concordat::checkpoint
