// The bytes of a block frame, before any cryptography: docs/formats/block-frame.md.
#pragma once

#include <array>
#include <vector>

#include "concordat/border/frames.hpp"

namespace concordat::border {

inline constexpr std::array<std::uint8_t, 4> frame_magic{'C', 'C', 'D', 'F'};
inline constexpr std::uint8_t frame_version = 1;
inline constexpr std::size_t frame_fixed_bytes = 64;  ///< before path and sealed part
inline constexpr std::size_t max_path_entries = 34;

/// Type 16, vector and index in 12 bytes: nonce, end of the associated data, head of a leaf.
std::array<std::uint8_t, 12> place_bytes(const BlockPlace& place);

/// Length of the Merkle path of a leaf.
std::uint64_t path_entries(std::uint64_t position, std::uint64_t num_leaves);

struct FrameWire {
  FrameClaim claim;
  std::vector<Digest> path;
  ByteView sealed;
};
/// @throws Error(malformed).
FrameWire parse_frame(ByteView wire);

}  // namespace concordat::border
