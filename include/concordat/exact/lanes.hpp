// Lanes: the 8-, 16- or 32-bit unsigned integers of a ring in which masked vectors are added.
//
// A vector of lanes is a byte span, little-endian, so that files, frames and sums share one form.
//
//   check_lane(/*num_sites=*/17, /*bits=*/4, Lane::u8);   // 17 * 15 = 255 <= 255: fits
//   add_lanes(Lane::u8, sum, block);                      // sum[i] += block[i] mod 2^8
//   check_range(Lane::u8, sum, max_sum(17, 4), 0);
//
// Threads: pure functions. Cost: memory bandwidth.
#pragma once

#include <cstdint>
#include <string_view>

#include "concordat/core/bytes.hpp"

namespace concordat::exact {

/// Width of a lane in bits.
enum class Lane : std::uint8_t { u8 = 8, u16 = 16, u32 = 32 };

constexpr std::size_t lane_bytes(Lane lane) { return static_cast<std::size_t>(lane) / 8U; }
/// @throws Error(exact.setting) unless 8, 16 or 32.
Lane lane_from_bits(int bits, std::string_view where);

inline constexpr int min_quantiser_bits = 2;
inline constexpr int max_quantiser_bits = 16;
inline constexpr std::uint32_t max_sites = 65535;

/// Refuses a configuration whose sum could wrap: num_sites * (2^bits - 1) must be below
/// 2^lane. @throws Error(exact.lane_could_wrap) with the arithmetic and the widest bits or the next
/// lane that would do; Error(exact.setting) for bits or sites outside the limits above. `where`
/// names the settings that bits and lane come from.
void check_lane(std::uint32_t num_sites, int bits, Lane lane,
                std::string_view where = "exchange.bits, exchange.lane");

/// Largest sum of `num_sites` code points: num_sites * (2^bits - 1).
std::uint64_t max_sum(std::uint32_t num_sites, int bits);

/// into[i] += what[i], modulo 2^lane. @pre equal sizes, whole lanes; any alignment.
void add_lanes(Lane lane, ByteSpan into, ByteView what);
/// into[i] -= what[i], modulo 2^lane.
void sub_lanes(Lane lane, ByteSpan into, ByteView what);

/// Every lane is at most `limit`. @throws Error(exact.sum_out_of_range) naming the canonical index
/// `first_index + i` of the first lane that is not.
void check_range(Lane lane, ByteView sums, std::uint64_t limit, std::uint64_t first_index);

}  // namespace concordat::exact
