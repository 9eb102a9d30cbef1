// Embedding rows and their gradients. Forward: the table's element read, 4 bytes written. Backward:
// 12 bytes per element of grad_x, and T^2 / 32 looks at tokens, which stay in the cache.
#include "device/cuda/cuda_kernels.hpp"
#include "device/cuda/packs.cuh"

namespace concordat::device::cuda {
namespace {

constexpr unsigned threads = 256;

template <int n, typename T>
__global__ void forward_kernel(Rows<float> x, Vec<std::int32_t> tokens, Rows<T> table,
                               std::int64_t vocab_begin, bool accumulate) {
  const std::int64_t c = n * global_x();
  if (c >= x.cols) return;
  for (std::int64_t r = blockIdx.y; r < x.rows; r += gridDim.y) {
    const std::int64_t row = tokens.load(r) - vocab_begin;
    const bool here = row >= 0 && row < table.rows;
    if (!here && accumulate) continue;
    Floats<n> values = {};
    if (here) values = load_floats<n, true>(table, row, c, table.cols);
    if (accumulate) {
      const Floats<n> before = load_floats<n, true>(x, r, c, x.cols);
#pragma unroll
      for (int i = 0; i < n; ++i) values.at[i] += before.at[i];
    }
    store_floats<n, true>(x, r, c, x.cols, values);
  }
}

// A block per position. The block of a token's first position adds up all of them in ascending
// order, so no two blocks write one row and the order is fixed.
template <int n>
__global__ void backward_kernel(Rows<float> grad_table, Rows<float> grad_x,
                                Vec<std::int32_t> tokens, std::int64_t vocab_begin) {
  __shared__ Shared<unsigned, threads / lanes> matches;
  const std::int64_t first = blockIdx.x;
  const std::int32_t token = tokens.load(first);
  const std::int64_t row = token - vocab_begin;
  if (row < 0 || row >= grad_table.rows) return;  // the whole block
  bool before = false;
  for (std::int64_t t = threadIdx.x; t < first; t += threads) before |= tokens.load(t) == token;
  if (__syncthreads_or(before) != 0) return;
  for (std::int64_t begin = first; begin < tokens.count; begin += threads) {
    const std::int64_t mine = begin + threadIdx.x;
    const unsigned votes =
        __ballot_sync(whole_warp, mine < tokens.count && tokens.load(mine) == token);
    if (threadIdx.x % lanes == 0) matches.store(static_cast<int>(threadIdx.x / lanes), votes);
    __syncthreads();
    for (int warp = 0; warp < static_cast<int>(threads / lanes); ++warp) {
      for (unsigned left = matches.load(warp); left != 0; left &= left - 1) {
        const std::int64_t t =
            begin + warp * static_cast<int>(lanes) + __ffs(static_cast<int>(left)) - 1;
        for (std::int64_t c = n * threadIdx.x; c < grad_x.cols; c += n * threads) {
          Floats<n> sum = load_floats<n, true>(grad_table, row, c, grad_x.cols);
          const Floats<n> more = load_floats<n, true>(grad_x, t, c, grad_x.cols);
#pragma unroll
          for (int i = 0; i < n; ++i) sum.at[i] += more.at[i];
          store_floats<n, true>(grad_table, row, c, grad_x.cols, sum);
        }
      }
    }
    __syncthreads();
  }
}

}  // namespace

void CudaKernels::embedding_forward(const Tensor& x, const Tensor& tokens, const Tensor& table,
                                    const std::int64_t& vocab_begin, const Write& write) {
  if (x.size() == 0) return;
  with_format(table.dtype(), [&]<typename T>() {
    const auto to = rows<float>(x);
    const auto from = rows<T>(table);
    constexpr int most = pack_of<T>;
    with_pack<most>(packs<most>(to, from), [&]<int n>() {
      const Plane plane(to.rows, packs_in(to.cols, n));
      launch(stream(), plane.grid, plane.block, &forward_kernel<n, T>, to,
             vec<std::int32_t>(tokens), from, vocab_begin, write == Write::accumulate);
    });
  });
}

void CudaKernels::embedding_backward(const Tensor& grad_table, const Tensor& grad_x,
                                     const Tensor& tokens, const std::int64_t& vocab_begin) {
  if (grad_x.size() == 0 || grad_table.size() == 0) return;
  const auto to = rows<float>(grad_table);
  const auto from = rows<float>(grad_x);
  with_pack<4>(packs<4>(to, from), [&]<int n>() {
    launch(stream(), {blocks_for(from.rows, 1)}, {threads}, &backward_kernel<n>, to, from,
           vec<std::int32_t>(tokens), vocab_begin);
  });
}

}  // namespace concordat::device::cuda
