// Matrix products through cuBLASLt, row-major like everything here.
//
// For each kind of product (shapes, strides, formats, transposes, alignments) cuBLASLt is asked
// once for an algorithm, which is kept. Only algorithms without split sums are taken: their order
// of additions is the same in every call.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>

#include "concordat/device/ops/matmul.hpp"
#include "device/cuda/handles.hpp"

namespace concordat::device::cuda {

class Blas {
 public:
  /// Of one product: what NVIDIA advises for sm_90.
  static constexpr std::size_t most_scratch_bytes = std::size_t{32} << 20U;

  Blas();
  Blas(const Blas&) = delete;
  Blas& operator=(const Blas&) = delete;

  /// A row-major matrix in device memory.
  struct Matrix {
    std::byte* data = nullptr;
    Dtype dtype = Dtype::f32;
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    std::int64_t stride = 0;
    std::uint32_t alignment = 0;  ///< bytes that `data` is a multiple of
  };
  static Matrix matrix(const Tensor& t);

  /// d = alpha op(a) op(b) + beta c (+ bias, f32 [cols]). `c` may be d; it is not read where beta
  /// is 0.
  struct Product {
    Matrix d, c, a, b;
    bool transpose_a = false;
    bool transpose_b = false;
    float alpha = 1.0F;
    float beta = 0.0F;
    const std::byte* bias = nullptr;
  };
  std::size_t scratch_bytes(const Product& product);
  /// @pre no extent is 0; scratch holds scratch_bytes.
  void run(const Product& product, const Tensor& scratch, cudaStream_t stream);

 private:
  struct Plan {
    ProductHandle product;
    LayoutHandle a, b, c, d;
    cublasLtMatmulAlgo_t algorithm{};
    std::size_t scratch_bytes = 0;
  };
  using Key = std::array<std::int64_t, 17>;
  Plan& plan_for(const Product& product);
  std::unique_ptr<Plan> make_plan(const Product& product);

  BlasHandle handle_;
  std::mutex mutex_;
  std::map<Key, std::unique_ptr<Plan>> plans_;
};

}  // namespace concordat::device::cuda
