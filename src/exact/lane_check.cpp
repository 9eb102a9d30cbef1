#include <string>

#include "concordat/exact/errors.hpp"
#include "concordat/exact/lanes.hpp"

namespace concordat::exact {

namespace {

std::string plan_text(std::uint32_t num_sites, int bits, Lane lane) {
  return std::to_string(num_sites) + " sites, " + std::to_string(bits) + " bits, " +
         std::to_string(static_cast<int>(lane)) + "-bit lanes";
}

std::uint64_t lane_limit(Lane lane) {
  return (std::uint64_t{1} << static_cast<unsigned>(lane)) - 1;
}

/// What would fit: fewer bits in this lane, or a wider lane.
std::string remedy(std::uint32_t num_sites, int bits, Lane lane) {
  int fitting = bits - 1;
  while (fitting >= min_quantiser_bits && max_sum(num_sites, fitting) > lane_limit(lane)) --fitting;
  std::string text;
  if (fitting >= min_quantiser_bits) {
    text = "use " + std::to_string(fitting) + " bits in this lane, or ";
  }
  return text + "use wider lanes";
}

}  // namespace

Lane lane_from_bits(int bits, std::string_view where) {
  if (bits == 8 || bits == 16 || bits == 32) return static_cast<Lane>(bits);
  throw Error(errors::setting, {.what = "there is no lane of this width",
                                .where = std::string(where),
                                .found = std::to_string(bits) + " bits",
                                .expected = "8, 16 or 32 bits",
                                .remedy = "choose one of these widths"});
}

std::uint64_t max_sum(std::uint32_t num_sites, int bits) {
  return std::uint64_t{num_sites} * ((std::uint64_t{1} << static_cast<unsigned>(bits)) - 1);
}

void check_lane(std::uint32_t num_sites, int bits, Lane lane, std::string_view where) {
  if (bits < min_quantiser_bits || bits > max_quantiser_bits) {
    throw Error(errors::setting, {.what = "the quantiser has no such width",
                                  .where = std::string(where),
                                  .found = std::to_string(bits) + " bits",
                                  .expected = std::to_string(min_quantiser_bits) + " to " +
                                              std::to_string(max_quantiser_bits) + " bits",
                                  .remedy = "choose a width in this range"});
  }
  if (num_sites < 1 || num_sites > max_sites) {
    throw Error(errors::setting, {.what = "a sum over this many sites is not defined",
                                  .where = std::string(where),
                                  .found = std::to_string(num_sites) + " sites",
                                  .expected = "1 to " + std::to_string(max_sites),
                                  .remedy = "form federations of fewer sites"});
  }
  const std::uint64_t sum = max_sum(num_sites, bits);
  if (sum <= lane_limit(lane)) return;
  const std::string arithmetic = std::to_string(num_sites) + " * (2^" + std::to_string(bits) +
                                 " - 1) = " + std::to_string(sum) + ", above 2^" +
                                 std::to_string(static_cast<int>(lane)) +
                                 " - 1 = " + std::to_string(lane_limit(lane));
  throw Error(errors::lane_could_wrap,
              {.what = "the sum of the updates could wrap in its lane",
               .where = std::string(where),
               .found = plan_text(num_sites, bits, lane) + ": the largest sum is " + arithmetic,
               .expected = "a largest sum of at most " + std::to_string(lane_limit(lane)),
               .remedy = remedy(num_sites, bits, lane)});
}

}  // namespace concordat::exact
