// SHA-256 of sixteen messages of one length at once, a word of each in a lane of a vector register.
#pragma once

#include <array>
#include <span>

#include "concordat/core/bytes.hpp"

namespace concordat::crypto {

inline constexpr std::size_t num_lanes = 16;
/// Shorter messages are not for the lanes.
inline constexpr std::size_t shortest_in_lanes = 64;

/// Whether this processor has the instructions (AVX-512 F and BW).
bool has_lanes();

/// SHA-256(prefix | message) of each; they may be one and the same.
/// @pre has_lanes(); all messages have one length of at least shortest_in_lanes bytes.
std::array<Digest, num_lanes> sha256_lanes(std::uint8_t prefix,
                                           std::span<const ByteView, num_lanes> messages);

}  // namespace concordat::crypto
