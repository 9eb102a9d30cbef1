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

template <typename T, typename Combine>
void write_combined(T* out, const T* a, const T* b, std::size_t count, Combine&& combined) {
  // Three loops, so that each vectorises: pointers that are equal are not taken for others' memory.
  if (out == a) {
    for (std::size_t i = 0; i < count; ++i) out[i] = combined(out[i], b[i]);
  } else if (out == b) {
    for (std::size_t i = 0; i < count; ++i) out[i] = combined(a[i], out[i]);
  } else {
    for (std::size_t i = 0; i < count; ++i) out[i] = combined(a[i], b[i]);
  }
}

/// out = a op b; `out` may be one of the two.
template <typename T>
void combine_all(T* out, const T* a, const T* b, std::size_t count, ReduceOp op) {
  if (op == ReduceOp::sum) {
    write_combined(out, a, b, count, [](T x, T y) { return combine(x, y, ReduceOp::sum); });
  } else {
    write_combined(out, a, b, count, [op](T x, T y) { return combine(x, y, op); });
  }
}

/// The last combination of the tree goes to `out`, the others into the operands.
template <typename T>
void reduce_tree(std::span<T* const> operands, std::size_t count, ReduceOp op, T* out) {
  for (std::size_t stride = 1; stride < operands.size(); stride *= 2) {
    const bool last = 2 * stride >= operands.size();
    for (std::size_t i = 0; i + stride < operands.size(); i += 2 * stride) {
      combine_all(last ? out : operands[i], operands[i], operands[i + stride], count, op);
    }
  }
}

template <typename T>
void reduce_plain(std::span<std::byte* const> operands, std::size_t count, ReduceOp op,
                  std::byte* out) {
  std::vector<T*> typed;
  typed.reserve(operands.size());
  for (std::byte* operand : operands) typed.push_back(reinterpret_cast<T*>(operand));
  reduce_tree<T>(typed, count, op, reinterpret_cast<T*>(out));
  if (operands.size() == 1 && out != operands[0]) {
    std::memmove(out, operands[0], count * sizeof(T));
  }
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
  reduce_tree<float>(typed, count, op, typed[0]);
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
