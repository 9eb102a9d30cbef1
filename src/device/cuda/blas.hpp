// Matrix products through cuBLASLt, row-major like everything here.
//
// For each kind of product (shapes, strides, formats, transposes, alignments) cuBLASLt is asked
// once for an algorithm, which is kept. Only algorithms without split sums are taken: their order
// of additions is the same in every call. Products of f32 operands are true f32, unless TF32 was
// asked for.
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

  explicit Blas(bool tf32);
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

  enum class Epilogue {
    none,
    gelu,           ///< d = gelu(result), aux = result
    gelu_gradient,  ///< d = gelu'(aux) * result
    row_sums,       ///< bias [rows of d] becomes the sums of op(a)'s rows
  };

  /// d = alpha op(a) op(b) + beta c (+ bias [cols], in d's format), then the epilogue. `c` may be
  /// d; it is not read where beta is 0.
  struct Product {
    Matrix d, c, a, b;
    bool transpose_a = false;
    bool transpose_b = false;
    float alpha = 1.0F;
    float beta = 0.0F;
    Epilogue epilogue = Epilogue::none;
    std::byte* bias = nullptr;  ///< a multiple of 16 bytes
    Matrix aux{};               ///< of d's shape and format
  };
  /// Whether cuBLASLt has an algorithm for it. Without an epilogue run() throws where it has not.
  bool has(const Product& product);
  std::size_t scratch_bytes(const Product& product);
  /// @pre no extent is 0; scratch holds scratch_bytes.
  void run(const Product& product, const Tensor& scratch, cudaStream_t stream);

 private:
  struct Plan {
    ProductHandle product;
    LayoutHandle a, b, c, d;
    cublasLtMatmulAlgo_t algorithm{};
    std::size_t scratch_bytes = 0;
    bool found = false;
  };
  using Key = std::array<std::int64_t, 20>;
  Plan& plan_for(const Product& product);
  /// plan_for, or an error that names the product.
  Plan& sure_plan_for(const Product& product);
  std::unique_ptr<Plan> make_plan(const Product& product);
  void choose_algorithm(Plan& plan, const Product& product);

  bool tf32_;
  BlasHandle handle_;
  std::mutex mutex_;
  std::map<Key, std::unique_ptr<Plan>> plans_;
};

}  // namespace concordat::device::cuda
