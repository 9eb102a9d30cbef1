#include <cstring>
#include <vector>

#include "device/cpu/cpu_kernels.hpp"
#include "device/cpu/parallel_rows.hpp"
#include "device/cpu/vector_kernels.hpp"

namespace concordat::device {
namespace {

// Elements per partial sum: fixed, so that sums depend on the count alone.
constexpr std::int64_t sum_block = 4096;

bool is_narrow(Dtype dtype) { return dtype == Dtype::bf16 || dtype == Dtype::f16; }

bool is_dense_rows(const Tensor& t) { return t.contiguous() || is_rows(t); }

// A contiguous tensor as one row, else its rows.
template <typename T>
Matrix<T> lines(const Tensor& t, bool flat) {
  if (flat) return {t.raw<T>(), 1, t.size(), t.size()};
  return matrix<T>(t);
}

// Calls work(pointers..., count) on matching stretches of equally shaped f32 tensors.
template <typename Work, typename... Tensors>
void stretches(Work&& work, const Tensor& first, const Tensors&... others) {
  const bool flat = first.contiguous() && (others.contiguous() && ...);
  if (flat) {
    const std::int64_t pieces = (first.size() + sum_block - 1) / sum_block;
    parallel_rows(pieces, sum_block, [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t from = begin * sum_block;
      const std::int64_t count = std::min(end * sum_block, first.size()) - from;
      work(count, first.raw<float>() + from, others.template raw<float>() + from...);
    });
    return;
  }
  parallel_rows(first.dim(0), first.dim(1), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      work(first.dim(1), first.raw<float>() + i * first.strides()[0],
           others.template raw<float>() + i * others.strides()[0]...);
    }
  });
}

}  // namespace

void CpuKernels::fill(const Tensor& out, const double& value) {
  if (out.dtype() != Dtype::f32 || !is_dense_rows(out)) return ReferenceKernels::fill(out, value);
  const auto narrow = static_cast<float>(value);
  stretches([&](std::int64_t n, float* to) { std::fill_n(to, n, narrow); }, out);
}

void CpuKernels::copy(const Tensor& out, const Tensor& in) {
  const VectorKernels& vector = vector_kernels();
  const bool dense = is_dense_rows(out) && is_dense_rows(in) && out.rank() <= 2;
  const bool flat = out.contiguous() && in.contiguous();
  const std::int64_t pieces = (out.size() + sum_block - 1) / sum_block;
  auto in_pieces = [&](auto&& convert) {
    parallel_rows(pieces, sum_block, [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t from = begin * sum_block;
      convert(from, std::min(end * sum_block, out.size()) - from);
    });
  };
  if (out.dtype() == Dtype::f32 && in.dtype() == Dtype::f32 && (flat || dense)) {
    stretches([](std::int64_t n, float* to, const float* from) { std::copy_n(from, n, to); }, out,
              in);
  } else if (flat && is_narrow(out.dtype()) && in.dtype() == Dtype::f32) {
    auto* to = reinterpret_cast<std::uint16_t*>(out.raw_bytes());
    const auto narrow = out.dtype() == Dtype::bf16 ? vector.to_bf16 : vector.to_f16;
    in_pieces([&](std::int64_t at, std::int64_t n) { narrow(to + at, in.raw<float>() + at, n); });
  } else if (flat && out.dtype() == Dtype::f32 && is_narrow(in.dtype())) {
    const auto* from = reinterpret_cast<const std::uint16_t*>(in.raw_bytes());
    const auto widen = in.dtype() == Dtype::bf16 ? vector.from_bf16 : vector.from_f16;
    in_pieces([&](std::int64_t at, std::int64_t n) { widen(out.raw<float>() + at, from + at, n); });
  } else {
    ReferenceKernels::copy(out, in);
  }
}

void CpuKernels::add(const Tensor& out, const Tensor& a, const Tensor& b) {
  const VectorKernels& vector = vector_kernels();
  stretches([&](std::int64_t n, float* to, const float* left,
                const float* right) { vector.add(to, left, right, n); },
            out, a, b);
}

void CpuKernels::scale_by(const Tensor& inout, const Tensor& factor) {
  const VectorKernels& vector = vector_kernels();
  const float f = *factor.raw<float>();
  stretches([&](std::int64_t n, float* to) { vector.scale(to, f, n); }, inout);
}

std::size_t CpuKernels::sum_scratch_bytes(std::int64_t count) const {
  return static_cast<std::size_t>((count + sum_block - 1) / sum_block) * sizeof(double);
}

void CpuKernels::sum(const Tensor& out, const Tensor& in, const bool& squares, const Write& write,
                     const Tensor& scratch) {
  const VectorKernels& vector = vector_kernels();
  const std::int64_t blocks = (in.size() + sum_block - 1) / sum_block;
  double* partial = blocks == 0 ? nullptr : reinterpret_cast<double*>(scratch.raw_bytes());
  auto block_sum = squares ? vector.sum_squares : vector.sum;
  parallel_rows(blocks, sum_block, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t at = block * sum_block;
      partial[block] = block_sum(in.raw<float>() + at, std::min(sum_block, in.size() - at));
    }
  });
  double total = 0.0;
  for (std::int64_t block = 0; block < blocks; ++block) total += partial[block];
  if (out.dtype() == Dtype::f64) {
    double* to = out.raw<double>();
    *to = write == Write::accumulate ? *to + total : total;
  } else {
    float* to = out.raw<float>();
    *to = static_cast<float>(write == Write::accumulate ? double{*to} + total : total);
  }
}

void CpuKernels::sum_squares_by_block(const Tensor& out, const Tensor& in,
                                      const std::int64_t& block) {
  const VectorKernels& vector = vector_kernels();
  const float* values = in.raw<float>();
  double* to = out.raw<double>();
  parallel_rows(out.size(), block, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t stop = std::min((i + 1) * block, in.size());
      double total = 0.0;
      for (std::int64_t at = i * block; at < stop; at += sum_block) {
        total += vector.sum_squares(values + at, std::min(sum_block, stop - at));
      }
      to[i] = total;
    }
  });
}

void CpuKernels::adamw(const AdamwState& state, const Tensor& gradient, const AdamwScalars& scalars,
                       const AdamwSettings& settings) {
  if (*scalars.found_inf.raw<float>() != 0.0F) return;
  const VectorKernels& vector = vector_kernels();
  const float rate = *scalars.rate.raw<float>();
  const AdamwStep step{.beta1 = settings.beta1,
                       .beta2 = settings.beta2,
                       .keep = 1.0F - rate * settings.weight_decay,
                       .rate1 = rate / *scalars.correction1.raw<float>(),
                       .inv_correction2 = 1.0F / *scalars.correction2.raw<float>(),
                       .eps = settings.eps,
                       .clip = *scalars.clip.raw<float>()};
  // In pieces that stay in the cache, so that the copy for the products costs its writes alone.
  const std::int64_t count = state.master.size();
  const std::int64_t pieces = (count + sum_block - 1) / sum_block;
  std::byte* const copy_bytes = state.compute.empty() ? nullptr : state.compute.raw_bytes();
  const Dtype copy_dtype = state.compute.empty() ? Dtype::f32 : state.compute.dtype();
  parallel_rows(pieces, sum_block, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t piece = begin; piece < end; ++piece) {
      const std::int64_t at = piece * sum_block;
      const std::int64_t n = std::min(sum_block, count - at);
      float* master = state.master.raw<float>() + at;
      vector.adamw(master, state.m.raw<float>() + at, state.v.raw<float>() + at,
                   gradient.raw<float>() + at, n, step);
      if (copy_bytes == nullptr) continue;
      if (copy_dtype == Dtype::f32) {
        std::copy_n(master, n, reinterpret_cast<float*>(copy_bytes) + at);
      } else {
        const auto narrow = copy_dtype == Dtype::bf16 ? vector.to_bf16 : vector.to_f16;
        narrow(reinterpret_cast<std::uint16_t*>(copy_bytes) + at, master, n);
      }
    }
  });
}

}  // namespace concordat::device
