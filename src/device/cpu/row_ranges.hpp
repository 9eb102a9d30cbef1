// Ranges of a matrix's rows for the vector code, and how sums over rows are cut into partial ones.
#pragma once

#include "device/cpu/parallel_rows.hpp"
#include "device/cpu/vector_kernels.hpp"

namespace concordat::device {

// Rows per partial sum of a weight gradient: fixed, so that the bits do not depend on the threads.
inline constexpr std::int64_t rows_per_partial = 256;

inline std::int64_t partials(std::int64_t rows) {
  return (rows + rows_per_partial - 1) / rows_per_partial;
}

inline Rows rows_of(const Tensor& t, std::int64_t begin, std::int64_t end) {
  auto all = matrix<float>(t);
  return {all.row(begin), end - begin, all.cols, all.stride};
}

inline ConstRows const_rows(const Tensor& t, std::int64_t begin, std::int64_t end) {
  auto all = matrix<float>(t);
  return {all.row(begin), end - begin, all.cols, all.stride};
}

inline bool is_bf16(const Tensor& t) { return t.dtype() == Dtype::bf16; }

inline NarrowRows narrow_rows_of(const Tensor& t, std::int64_t begin, std::int64_t end) {
  return {reinterpret_cast<std::uint16_t*>(t.raw_bytes()) + begin * t.strides()[0], end - begin,
          t.dim(1), t.strides()[0]};
}

inline ConstNarrowRows const_narrow_rows(const Tensor& t, std::int64_t begin, std::int64_t end) {
  const NarrowRows rows = narrow_rows_of(t, begin, end);
  return {rows.data, rows.rows, rows.cols, rows.stride};
}

}  // namespace concordat::device
