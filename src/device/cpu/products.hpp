// Matrix products by oneDNN, behind one file (oneDNN 2.x and 3.x differ in their API).
//
//   Products products;
//   products.run(c, a, b, options, weight_version, scratch);
//   tile_product({.m = 64, .n = 64, .k = 32, .b_transposed = true}, a, lda, b, ldb, c, ldc);
//
// A primitive is made once per shape, strides and thread count. Where the processor's best kernels
// want weights in a layout of their own, a packed copy is kept per weight and version; where they
// do not (AVX2), the weight is read in place and nothing is kept. Products of bf16 run on AMX's
// tiles by our own code where the processor has them (amx_product.hpp), without copies.
// Threads: safe from many; the scratch belongs to the caller.
#pragma once

#include <memory>
#include <string>

#include "concordat/device/ops/matmul.hpp"

namespace concordat::device {

class Products {
 public:
  /// pack_weights: keep weights in the layout that oneDNN asks for; the default is what pays on
  /// this processor.
  explicit Products(bool pack_weights = packing_pays());
  ~Products();
  static bool packing_pays();
  /// Whether both operands may be bf16 (the result is f32).
  static bool multiplies_bf16();
  std::size_t scratch_bytes(const Tensor& c, const Tensor& a, const Tensor& b,
                            const MatmulOptions& options, bool is_weight);
  /// How many packed copies a weight of this dtype gets at most, and what all of them hold now.
  int weight_copies(Dtype dtype) const;
  std::size_t weight_copy_bytes() const;
  /// Whether bf16 products run on AMX's tiles; then run() adds bias and residual too.
  static bool uses_tiles();
  /// Whether oneDNN may use AVX-512: the processor has it and ONEDNN_MAX_CPU_ISA leaves it in.
  static bool uses_avx512();
  /// c = alpha * op(a) op(b) + beta * c; what else the epilogue has is the caller's.
  void run(const Tensor& c, const Tensor& a, const Tensor& b, const MatmulOptions& options,
           std::uint64_t weight_version, const Tensor& scratch);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct TileShape {
  std::int64_t m, n, k;
  bool a_transposed = false;
  bool b_transposed = false;
  float alpha = 1.0F;
  float beta = 0.0F;
};

/// A product on the calling thread (inside a parallel region) or on all (outside).
void tile_product(const TileShape& shape, const float* a, std::int64_t lda, const float* b,
                  std::int64_t ldb, float* c, std::int64_t ldc);

/// "oneDNN 2.6.3 (avx2)".
std::string product_library();

}  // namespace concordat::device
