// Plain views that kernels loop over, and the checks that ops make before they launch.
//
//   Matrix<float> x = matrix<float>(tensor);        // rows, cols, stride
//   for (std::int64_t i = 0; i < x.rows; ++i) use(x.row(i), x.cols);
#pragma once

#include <cstdint>
#include <string>

#include "concordat/core/tensor.hpp"

namespace concordat::device {

template <typename T>
struct Matrix {
  T* data;
  std::int64_t rows;
  std::int64_t cols;
  std::int64_t stride;
  T* row(std::int64_t i) const { return data + i * stride; }
};

template <typename T>
Matrix<T> matrix(const Tensor& t) {
  return {t.raw<T>(), t.shape()[0], t.shape()[1], t.strides()[0]};
}

/// A matrix whose rows are dense: [rows, cols], last stride 1, rows that do not overlap.
inline bool is_rows(const Tensor& t) {
  return t.rank() == 2 && (t.shape()[1] <= 1 || t.strides()[1] == 1) &&
         (t.shape()[0] <= 1 || t.strides()[0] >= t.shape()[1]);
}

inline bool is_floating(Dtype dtype) {
  return dtype == Dtype::f32 || dtype == Dtype::bf16 || dtype == Dtype::f16 || dtype == Dtype::f64;
}

inline std::string describe(const char* name, const Tensor& t) {
  return std::string(name) + ": " + std::string(name_of(t.dtype())) + " " + to_string(t.shape()) +
         " strides " + to_string(t.strides());
}

inline void require_rows(const char* name, const Tensor& t, std::int64_t rows, std::int64_t cols,
                         Dtype dtype) {
  CONCORDAT_REQUIRE(!t.empty(), name);
  CONCORDAT_REQUIRE(
      is_rows(t) && t.dtype() == dtype && t.shape()[0] == rows && t.shape()[1] == cols,
      describe(name, t) + ", expected " + to_string(Shape{rows, cols}));
}

inline void require_vector(const char* name, const Tensor& t, std::int64_t count, Dtype dtype) {
  CONCORDAT_REQUIRE(!t.empty(), name);
  CONCORDAT_REQUIRE(t.rank() == 1 && t.contiguous() && t.dtype() == dtype && t.size() == count,
                    describe(name, t) + ", expected " + to_string(Shape{count}));
}

inline void require_scalar(const char* name, const Tensor& t, Dtype dtype) {
  CONCORDAT_REQUIRE(!t.empty(), name);
  CONCORDAT_REQUIRE(t.size() == 1 && t.dtype() == dtype, describe(name, t) + ", expected 0-d");
}

inline void require_flat(const char* name, const Tensor& t, std::int64_t count, Dtype dtype) {
  CONCORDAT_REQUIRE(!t.empty(), name);
  CONCORDAT_REQUIRE(t.contiguous() && t.dtype() == dtype && t.size() == count, describe(name, t));
}

}  // namespace concordat::device
