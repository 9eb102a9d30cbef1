// Products with cuBLASLt's epilogues for activations and gradients of biases. Its GELU is the tanh
// form, like the op's (PyTorch's pull request 104061 tells so). What it saves of a feed-forward
// block in 16 bits, per element of the activation: 10 bytes forward, 8 backward.
#include "device/cuda/cuda_kernels.hpp"
#include "device/cuda/cuda_stream.hpp"
#include "device/views.hpp"

namespace concordat::device::cuda {
namespace {

constexpr std::int64_t aux_elements = 8;    // cuBLASLt: rows of aux are multiples of so many,
constexpr std::uint32_t vector_bytes = 16;  // and its vectors and aux begin at multiples of these

std::int64_t aligned(std::int64_t bytes) { return (bytes + 255) / 256 * 256; }

Blas::Epilogue epilogue_of(Fusion fusion) {
  switch (fusion) {
    case Fusion::gelu:
      return Blas::Epilogue::gelu;
    case Fusion::gelu_backward:
      return Blas::Epilogue::gelu_gradient;
    case Fusion::row_sums:
      break;
  }
  return Blas::Epilogue::row_sums;
}

/// A call as one product: where its vector lies in scratch, if it is made there.
struct Plan {
  Blas::Product product;
  std::int64_t vector_elements = 0;  ///< 0: none in scratch
  Dtype vector_dtype = Dtype::f32;
  bool possible = false;

  Plan(Fusion fusion, const Tensor& c, const Tensor& with, const Tensor& a, const Tensor& b,
       const MatmulOptions& options)
      : product{.d = Blas::matrix(fusion == Fusion::gelu ? with : c),
                .c = Blas::matrix(fusion == Fusion::gelu ? with : c),
                .a = Blas::matrix(a),
                .b = Blas::matrix(b),
                .transpose_a = options.transpose_a,
                .transpose_b = options.transpose_b,
                .alpha = options.alpha,
                .beta = options.beta,
                .epilogue = epilogue_of(fusion)} {
    const Dtype format = product.d.dtype;
    if (a.dtype() != b.dtype() || (format != Dtype::f32 && format != a.dtype())) return;
    if (fusion == Fusion::row_sums) {
      vector_elements = with.size();
      possible = format == Dtype::f32;
      return;
    }
    product.aux = Blas::matrix(fusion == Fusion::gelu ? c : with);
    possible = product.aux.dtype == format && product.aux.stride % aux_elements == 0 &&
               product.aux.alignment >= vector_bytes && product.aux.data != product.d.data;
    if (!options.bias.empty()) {
      product.bias = options.bias.raw_bytes();
      const bool as_it_is = format == Dtype::f32 &&
                            reinterpret_cast<std::uintptr_t>(product.bias) % vector_bytes == 0;
      if (!as_it_is) vector_elements = options.bias.size();
      vector_dtype = format;
    }
  }
  /// Comes before the product's own scratch.
  std::int64_t vector_bytes_in_scratch() const {
    return aligned(vector_elements * static_cast<std::int64_t>(size_of(vector_dtype)));
  }
  Blas::Product with_vector(std::byte* vector) const {
    Blas::Product placed = product;
    if (vector_elements > 0) placed.bias = vector;
    return placed;
  }
};

}  // namespace

std::optional<std::size_t> CudaKernels::fused_scratch_bytes(Fusion fusion, const Tensor& c,
                                                            const Tensor& with, const Tensor& a,
                                                            const Tensor& b,
                                                            const MatmulOptions& options) {
  const Plan plan(fusion, c, with, a, b, options);
  // Any aligned address tells the algorithm that there is a vector.
  const Blas::Product product = plan.with_vector(reinterpret_cast<std::byte*>(std::uintptr_t{256}));
  if (!plan.possible || !device_.blas.has(product)) return std::nullopt;
  return static_cast<std::size_t>(plan.vector_bytes_in_scratch()) +
         device_.blas.scratch_bytes(product);
}

void CudaKernels::matmul_fused(const Fusion& fusion, const Tensor& c, const Tensor& with,
                               const Tensor& a, const Tensor& b, const MatmulOptions& options,
                               const Tensor& scratch) {
  const Plan plan(fusion, c, with, a, b, options);
  Tensor vector;
  Tensor rest = scratch;
  if (plan.vector_elements > 0) {
    vector = Tensor(scratch.storage(), scratch.offset_bytes(), plan.vector_dtype,
                    {plan.vector_elements});
    rest = scratch.slice(0, plan.vector_bytes_in_scratch(),
                         scratch.size() - plan.vector_bytes_in_scratch());
    if (fusion == Fusion::gelu) copy(vector, options.bias);
  }
  device_.blas.run(plan.with_vector(vector.empty() ? nullptr : vector.raw_bytes()), rest, stream());
  if (fusion == Fusion::row_sums) add(with, with, vector);
}

}  // namespace concordat::device::cuda
