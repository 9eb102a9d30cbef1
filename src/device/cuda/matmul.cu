// Matrix products: cuBLASLt, and a pass over the result for what its epilogue does not do.
#include "device/cuda/cuda_kernels.hpp"
#include "device/cuda/cuda_stream.hpp"
#include "device/cuda/packs.cuh"

namespace concordat::device::cuda {
namespace {

/// In cuBLASLt's epilogue a bias has the format of the result, and its vector loads want 16 bytes.
bool fuses_bias(const Tensor& c, const Tensor& bias) {
  return !bias.empty() && c.dtype() == Dtype::f32 &&
         reinterpret_cast<std::uintptr_t>(bias.raw_bytes()) % 16 == 0;
}

/// How a call of the op becomes one product and perhaps one pass behind it.
struct Plan {
  Blas::Product product;
  bool through_scratch = false;  ///< the product is f32 in scratch, c is rounded from it
  Tensor bias, residual;         ///< left for the pass

  Plan(const Tensor& c, const Tensor& a, const Tensor& b, const MatmulOptions& options)
      : product{.d = Blas::matrix(c),
                .c = Blas::matrix(c),
                .a = Blas::matrix(a),
                .b = Blas::matrix(b),
                .transpose_a = options.transpose_a,
                .transpose_b = options.transpose_b,
                .alpha = options.alpha,
                .beta = options.beta},
        bias(options.bias),
        residual(options.residual) {
    if (c.dtype() != Dtype::f32 && (!bias.empty() || !residual.empty())) {
      through_scratch = true;
      product.d = {.rows = c.dim(0), .cols = c.dim(1), .stride = c.dim(1), .alignment = 64};
      product.c = product.d;
      return;
    }
    if (fuses_bias(c, bias)) {
      product.bias = bias.raw_bytes();
      bias = {};
    }
    // A residual without beta is the C of D = A B + C.
    if (!residual.empty() && options.beta == 0.0F) {
      product.c = Blas::matrix(residual);
      product.beta = 1.0F;
      residual = {};
    }
  }
  /// Bytes of the f32 result, which comes before the product's own scratch.
  std::size_t result_bytes() const {
    if (!through_scratch) return 0;
    const auto elements = static_cast<std::size_t>(product.d.rows * product.d.cols);
    return (elements * sizeof(float) + 63) / 64 * 64;
  }
};

// Bytes moved per element: 4 and the result's size, and 4 for a residual.
template <int n, typename T>
__global__ void finish_kernel(Rows<T> c, Rows<float> result, Vec<float> bias,
                              Rows<float> residual) {
  const std::int64_t j = n * global_x();
  if (j >= c.cols) return;
  Floats<n> column = {};
  if (bias.count > 0) column = load_floats<n, true>(bias, j);
  for (std::int64_t i = blockIdx.y; i < c.rows; i += gridDim.y) {
    Floats<n> values = load_floats<n, true>(result, i, j, result.cols);
    Floats<n> more = {};
    if (residual.rows > 0) more = load_floats<n, true>(residual, i, j, residual.cols);
#pragma unroll
    for (int k = 0; k < n; ++k) values.at[k] = values.at[k] + column.at[k] + more.at[k];
    store_floats<n, true>(c, i, j, c.cols, values);
  }
}

__global__ void scale_kernel(Rows<float> c, float factor) {
  const std::int64_t j = global_x();
  if (j >= c.cols) return;
  for (std::int64_t i = blockIdx.y; i < c.rows; i += gridDim.y) {
    c.store(i, j, c.load(i, j) * factor);
  }
}

}  // namespace

std::size_t CudaKernels::matmul_scratch_bytes(const Tensor& c, const Tensor& a, const Tensor& b,
                                              const MatmulOptions& options, bool) {
  if (c.size() == 0 || a.size() == 0) return 0;
  const Plan plan(c, a, b, options);
  return plan.result_bytes() + device_.blas.scratch_bytes(plan.product);
}

void CudaKernels::matmul(const Tensor& c, const Tensor& a, const Tensor& b,
                         const MatmulOptions& options, const std::uint64_t&,
                         const Tensor& scratch) {
  if (c.size() == 0) return;
  Plan plan(c, a, b, options);
  if (a.size() == 0) {  // depth 0: an empty product
    // No layer makes one; adding to a rounded result would round twice.
    CONCORDAT_REQUIRE(!plan.through_scratch, "an empty product with an epilogue");
    if (options.beta == 0.0F) {
      fill(c, 0.0);
    } else {
      const Plane plane(c.dim(0), c.dim(1));
      launch(stream(), plane.grid, plane.block, &scale_kernel, rows<float>(c), options.beta);
    }
    finish_product(c, c, options.bias, options.residual);
    return;
  }
  Tensor result = c;
  Tensor rest = scratch;
  if (plan.through_scratch) {
    const auto used = static_cast<std::int64_t>(plan.result_bytes());
    result = Tensor(scratch.storage(), scratch.offset_bytes(), Dtype::f32, c.shape());
    rest = scratch.slice(0, used, scratch.size() - used);
    plan.product.d.data = result.raw_bytes();
    plan.product.c.data = result.raw_bytes();
  }
  device_.blas.run(plan.product, rest, stream());
  finish_product(c, result, plan.bias, plan.residual);
}

void CudaKernels::finish_product(const Tensor& c, const Tensor& result, const Tensor& bias,
                                 const Tensor& residual) {
  if (bias.empty() && residual.empty()) return;
  const Rows<float> added =
      residual.empty() ? Rows<float>{nullptr, 0, 0, 0} : rows<float>(residual);
  with_format(c.dtype(), [&]<typename T>() {
    const auto to = rows<T>(c);
    const auto from = rows<float>(result);
    const auto column = vec<float>(bias);
    constexpr int most = pack_of<T>;
    with_pack<most>(packs<most>(to, from, column, added), [&]<int n>() {
      const Plane plane(to.rows, packs_in(to.cols, n));
      launch(stream(), plane.grid, plane.block, &finish_kernel<n, T>, to, from, column, added);
    });
  });
}

}  // namespace concordat::device::cuda
