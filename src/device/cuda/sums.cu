// Sums in a fixed order: of all elements, by block, and of columns. 4 bytes read per element.
#include "device/cuda/cuda_kernels.hpp"
#include "device/cuda/packs.cuh"
#include "device/cuda/reduce.cuh"
#include "device/cuda/sums.cuh"

namespace concordat::device::cuda {
namespace {

constexpr unsigned threads = 256;
constexpr std::int64_t piece = 4096;  // elements that one block adds up: part of the order

/// out[p] = sum of the elements (or squares) of piece p of `in`: each thread every blockDim.x-th
/// group of 4, then the threads. The order depends on the length of the piece (and `each`) alone.
template <bool packed>
__global__ void sum_pieces_kernel(Vec<double> out, Vec<float> in, std::int64_t each, bool squares) {
  const std::int64_t begin = std::int64_t{blockIdx.x} * each;
  const std::int64_t end = begin + each < in.count ? begin + each : in.count;
  double total = 0.0;
  for (std::int64_t i = begin + 4 * threadIdx.x; i < end; i += 4 * blockDim.x) {
    const Floats<4> some = load_floats<4, packed>(as_row(in), 0, i, end);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const double x = double{some.at[k]};
      total += squares ? x * x : x;
    }
  }
  total = block_sum(total);
  if (threadIdx.x == 0) out.store(blockIdx.x, total);
}

/// One thread adds, the others bring the numbers: the order is that of the elements.
__device__ double sum_ascending(const Vec<double>& in) {
  __shared__ Shared<double, threads> chunk;
  double total = 0.0;
  for (std::int64_t begin = 0; begin < in.count; begin += threads) {
    const std::int64_t i = begin + threadIdx.x;
    chunk.store(static_cast<int>(threadIdx.x), i < in.count ? in.load(i) : 0.0);
    __syncthreads();
    if (threadIdx.x == 0) {
      for (int k = 0; k < static_cast<int>(threads) && begin + k < in.count; ++k) {
        total += chunk.load(k);
      }
    }
    __syncthreads();
  }
  return total;
}

__global__ void sum_ascending_kernel(Vec<double> out, Vec<double> in) {
  const double total = sum_ascending(in);
  if (threadIdx.x == 0) out.store(0, total);
}

template <typename T>
__global__ void finish_sum_kernel(Vec<T> out, Vec<double> pieces, bool accumulate) {
  double total = sum_ascending(pieces);
  if (threadIdx.x != 0) return;
  if (accumulate) total += static_cast<double>(out.load(0));
  out.store(0, static_cast<T>(total));
}

template <int n, typename T>
__global__ void column_sums_kernel(Rows<float> partial, Rows<T> in) {
  const std::int64_t c = n * global_x();
  if (c >= in.cols) return;
  const std::int64_t begin = std::int64_t{blockIdx.y} * stretch;
  const std::int64_t end = begin + stretch < in.rows ? begin + stretch : in.rows;
  Floats<n> total = {};
  for (std::int64_t r = begin; r < end; ++r) {
    const Floats<n> some = load_floats<n, true>(in, r, c, in.cols);
#pragma unroll
    for (int k = 0; k < n; ++k) total.at[k] += some.at[k];
  }
  store_floats<n, true>(partial, blockIdx.y, c, partial.cols, total);
}

template <int n>
__global__ void add_partials_kernel(Vec<float> out, Rows<float> partial) {
  const std::int64_t c = n * global_x();
  if (c >= out.count) return;
  Floats<n> total = {};
  for (std::int64_t r = 0; r < partial.rows; ++r) {
    const Floats<n> some = load_floats<n, true>(partial, r, c, partial.cols);
#pragma unroll
    for (int k = 0; k < n; ++k) total.at[k] += some.at[k];
  }
  Floats<n> sum = load_floats<n, true>(out, c);
#pragma unroll
  for (int k = 0; k < n; ++k) sum.at[k] += total.at[k];
  store_floats<n, true>(out, c, sum);
}

std::int64_t pieces_of(std::int64_t count) { return (count + piece - 1) / piece; }

}  // namespace

void add_partials(cudaStream_t stream, const Tensor& out, const Rows<float>& partial) {
  const Vec<float> to = vec<float>(out);
  with_pack<4>(packs<4>(to, partial), [&]<int n>() {
    const Plane plane(1, packs_in(to.count, n));
    launch(stream, plane.grid, plane.block, &add_partials_kernel<n>, to, partial);
  });
}

std::size_t CudaKernels::sum_scratch_bytes(std::int64_t count) const {
  return static_cast<std::size_t>(pieces_of(count)) * sizeof(double);
}

std::size_t CudaKernels::column_sums_scratch_bytes(std::int64_t rows, std::int64_t width) const {
  return static_cast<std::size_t>(stretches_of(rows) * width) * sizeof(float);
}

void CudaKernels::sum(const Tensor& out, const Tensor& in, const bool& squares, const Write& write,
                      const Tensor& scratch) {
  const std::int64_t pieces = pieces_of(in.size());
  const Vec<double> partial{
      scratch.empty() ? nullptr : reinterpret_cast<double*>(scratch.raw_bytes()), pieces};
  if (pieces > 0) {
    const Vec<float> from = vec<float>(in);
    with_packed(packs<4>(from), [&]<bool packed>() {
      launch(stream(), {blocks_for(pieces, 1)}, {threads}, &sum_pieces_kernel<packed>, partial,
             from, piece, squares);
    });
  }
  const bool accumulate = write == Write::accumulate;
  if (out.dtype() == Dtype::f64) {
    launch(stream(), {1}, {threads}, &finish_sum_kernel<double>, vec<double>(out), partial,
           accumulate);
  } else {
    launch(stream(), {1}, {threads}, &finish_sum_kernel<float>, vec<float>(out), partial,
           accumulate);
  }
}

void CudaKernels::sum_in_order(const Tensor& out, const Tensor& in) {
  launch(stream(), {1}, {threads}, &sum_ascending_kernel, vec<double>(out), vec<double>(in));
}

void CudaKernels::sum_squares_by_block(const Tensor& out, const Tensor& in,
                                       const std::int64_t& block) {
  if (in.size() == 0) return;
  const Vec<float> from = vec<float>(in);
  // Blocks begin at multiples of their length.
  with_packed(packs<4>(from) && block % 4 == 0, [&]<bool packed>() {
    launch(stream(), {blocks_for(out.size(), 1)}, {threads_for(packs_in(block, 4))},
           &sum_pieces_kernel<packed>, vec<double>(out), from, block, true);
  });
}

void CudaKernels::add_column_sums(const Tensor& out, const Tensor& in, const Tensor& scratch) {
  if (in.size() == 0) return;
  const Rows<float> partial = partials(scratch, in.dim(0), in.dim(1));
  with_format(in.dtype(), [&]<typename T>() {
    const auto from = rows<T>(in);
    constexpr int most = pack_of<T>;
    with_pack<most>(packs<most>(partial, from), [&]<int n>() {
      launch(stream(), stretch_grid(from.rows, packs_in(from.cols, n)),
             {threads_for(packs_in(from.cols, n))}, &column_sums_kernel<n, T>, partial, from);
    });
  });
  add_partials(stream(), out, partial);
}

}  // namespace concordat::device::cuda
