// Element types of tensors and blocks.
#pragma once

#include <cstdint>
#include <string_view>

namespace concordat {

enum class Dtype : std::uint8_t { f32, bf16, f16, f64, i32, i64, u8, u16, u32 };

std::size_t size_of(Dtype dtype);
std::string_view name_of(Dtype dtype);
/// @throws Error(malformed) for a name that is none.
Dtype dtype_from(std::string_view name, std::string_view where);

/// bfloat16 storage; conversions round to nearest even, NaN stays NaN.
struct Bf16 {
  std::uint16_t bits = 0;
};
Bf16 to_bf16(float value);
float to_float(Bf16 value);

/// IEEE 754 half precision storage; conversions round to nearest even, NaN stays NaN.
struct F16 {
  std::uint16_t bits = 0;
};
F16 to_f16(float value);
float to_float(F16 value);

template <typename T>
struct DtypeOf;
template <>
struct DtypeOf<float> {
  static constexpr Dtype value = Dtype::f32;
};
template <>
struct DtypeOf<double> {
  static constexpr Dtype value = Dtype::f64;
};
template <>
struct DtypeOf<Bf16> {
  static constexpr Dtype value = Dtype::bf16;
};
template <>
struct DtypeOf<F16> {
  static constexpr Dtype value = Dtype::f16;
};
template <>
struct DtypeOf<std::int32_t> {
  static constexpr Dtype value = Dtype::i32;
};
template <>
struct DtypeOf<std::int64_t> {
  static constexpr Dtype value = Dtype::i64;
};
template <>
struct DtypeOf<std::uint8_t> {
  static constexpr Dtype value = Dtype::u8;
};
template <>
struct DtypeOf<std::uint16_t> {
  static constexpr Dtype value = Dtype::u16;
};
template <>
struct DtypeOf<std::uint32_t> {
  static constexpr Dtype value = Dtype::u32;
};
template <typename T>
inline constexpr Dtype dtype_of = DtypeOf<T>::value;

}  // namespace concordat
