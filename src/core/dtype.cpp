#include "concordat/core/dtype.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <string>
#include <utility>

#include "concordat/core/error.hpp"

namespace concordat {
namespace {

struct Row {
  Dtype dtype;
  std::string_view name;
  std::size_t size;
};
constexpr std::array<Row, 9> rows{{{Dtype::f32, "f32", 4},
                                   {Dtype::bf16, "bf16", 2},
                                   {Dtype::f16, "f16", 2},
                                   {Dtype::f64, "f64", 8},
                                   {Dtype::i32, "i32", 4},
                                   {Dtype::i64, "i64", 8},
                                   {Dtype::u8, "u8", 1},
                                   {Dtype::u16, "u16", 2},
                                   {Dtype::u32, "u32", 4}}};

}  // namespace

std::size_t size_of(Dtype dtype) { return rows.at(static_cast<std::size_t>(dtype)).size; }

std::string_view name_of(Dtype dtype) { return rows.at(static_cast<std::size_t>(dtype)).name; }

Dtype dtype_from(std::string_view name, std::string_view where) {
  for (const Row& row : rows) {
    if (row.name == name) return row.dtype;
  }
  throw Error(errors::malformed, {.what = "unknown element type",
                                  .where = std::string(where),
                                  .found = std::string(name),
                                  .expected = "f32, bf16, f16, f64, i32, i64, u8, u16 or u32",
                                  .remedy = {}});
}

Bf16 to_bf16(float value) {
  auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fff'ffffU) > 0x7f80'0000U)
    return {static_cast<std::uint16_t>((bits >> 16U) | 64U)};
  std::uint32_t round = 0x7fffU + ((bits >> 16U) & 1U);
  return {static_cast<std::uint16_t>((bits + round) >> 16U)};
}

float to_float(Bf16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16U);
}

F16 to_f16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16U) & 0x8000U);
  if (std::isnan(value)) return {static_cast<std::uint16_t>(sign | 0x7e00U)};
  const float magnitude = std::fabs(value);
  if (magnitude >= 65520.0F) return {static_cast<std::uint16_t>(sign | 0x7c00U)};
  if (magnitude < 6.103515625e-05F) {  // subnormal: units of 2^-24, and the current mode is nearest
    return {static_cast<std::uint16_t>(
        sign | static_cast<std::uint16_t>(std::nearbyint(magnitude * 16777216.0F)))};
  }
  const std::uint32_t payload = std::bit_cast<std::uint32_t>(magnitude);
  const std::uint32_t rounded = payload + 0xfffU + ((payload >> 13U) & 1U);
  return {static_cast<std::uint16_t>(sign | ((rounded - 0x38000000U) >> 13U))};
}

float to_float(F16 value) {
  const std::uint32_t sign = (value.bits & 0x8000U) << 16U;
  const std::uint32_t exponent = (value.bits >> 10U) & 0x1fU;
  const std::uint32_t fraction = value.bits & 0x3ffU;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 5.9604644775390625e-08F;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 31 ? 0x7f800000U : (exponent + 112U) << 23U;
  return std::bit_cast<float>(sign | wide | (fraction << 13U));
}

}  // namespace concordat
