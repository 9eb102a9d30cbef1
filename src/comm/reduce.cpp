#include "comm/reduce.hpp"

#include <cmath>
#include <cstring>
#include <type_traits>
#include <vector>

namespace concordat::comm {

namespace {

template <typename T>
T combine(T a, T b, ReduceOp op) {
  if constexpr (std::is_floating_point_v<T>) {
    if (op != ReduceOp::sum && (std::isnan(a) || std::isnan(b))) return a + b;
  }
  switch (op) {
    case ReduceOp::min:
      return b < a ? b : a;
    case ReduceOp::max:
      return a < b ? b : a;
    case ReduceOp::sum:
      break;
  }
  if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;  // signed overflow is undefined, a wrap is wanted
    return static_cast<T>(static_cast<U>(static_cast<U>(a) + static_cast<U>(b)));
  } else {
    return a + b;
  }
}

template <typename T>
void accumulate(T* into, const T* from, std::size_t count, ReduceOp op) {
  if (op == ReduceOp::sum) {
    for (std::size_t i = 0; i < count; ++i) into[i] = combine(into[i], from[i], ReduceOp::sum);
  } else {
    for (std::size_t i = 0; i < count; ++i) into[i] = combine(into[i], from[i], op);
  }
}

template <typename T>
void reduce_tree(std::span<T* const> operands, std::size_t count, ReduceOp op) {
  for (std::size_t stride = 1; stride < operands.size(); stride *= 2) {
    for (std::size_t i = 0; i + stride < operands.size(); i += 2 * stride) {
      accumulate(operands[i], operands[i + stride], count, op);
    }
  }
}

template <typename T>
void reduce_plain(std::span<std::byte* const> operands, std::size_t count, ReduceOp op,
                  std::byte* out) {
  std::vector<T*> typed;
  typed.reserve(operands.size());
  for (std::byte* operand : operands) typed.push_back(reinterpret_cast<T*>(operand));
  reduce_tree<T>(typed, count, op);
  if (out != operands[0]) std::memmove(out, operands[0], count * sizeof(T));
}

void reduce_bf16(std::span<std::byte* const> operands, std::size_t count, ReduceOp op,
                 std::byte* out) {
  std::vector<float> wide(operands.size() * count);
  std::vector<float*> typed;
  for (std::size_t r = 0; r < operands.size(); ++r) {
    const auto* narrow = reinterpret_cast<const Bf16*>(operands[r]);
    for (std::size_t i = 0; i < count; ++i) wide[r * count + i] = to_float(narrow[i]);
    typed.push_back(&wide[r * count]);
  }
  reduce_tree<float>(typed, count, op);
  auto* result = reinterpret_cast<Bf16*>(out);
  for (std::size_t i = 0; i < count; ++i) result[i] = to_bf16(wide[i]);
}

}  // namespace

void reduce_in_order(Dtype dtype, ReduceOp op, std::span<std::byte* const> operands,
                     std::size_t count, std::byte* out) {
  if (count == 0) return;
  switch (dtype) {
    case Dtype::f32:
      return reduce_plain<float>(operands, count, op, out);
    case Dtype::f64:
      return reduce_plain<double>(operands, count, op, out);
    case Dtype::i32:
      return reduce_plain<std::int32_t>(operands, count, op, out);
    case Dtype::i64:
      return reduce_plain<std::int64_t>(operands, count, op, out);
    case Dtype::u8:
      return reduce_plain<std::uint8_t>(operands, count, op, out);
    case Dtype::u16:
      return reduce_plain<std::uint16_t>(operands, count, op, out);
    case Dtype::u32:
      return reduce_plain<std::uint32_t>(operands, count, op, out);
    case Dtype::bf16:
      return reduce_bf16(operands, count, op, out);
    case Dtype::f16:
      break;
  }
  CONCORDAT_REQUIRE(false, "no reduction of " + std::string(name_of(dtype)));
}

}  // namespace concordat::comm
