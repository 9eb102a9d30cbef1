// What the attention kernels on tensor cores share: tiles of 16-bit numbers in shared memory, and
// the scores of a warp's 16 rows against a tile of the other side.
//
// A block of four warps owns 64 rows of one side (queries or keys), a warp 16 of them, and walks
// over the other side tile by tile. Inputs are f32 and are rounded on their way to shared memory;
// sums, softmax and results are f32.
#pragma once

#include "device/cuda/attention.cuh"
#include "device/cuda/packs.cuh"
#include "tensor_cores.cuh"

namespace concordat::device::cuda {

constexpr int warp_rows = 16;
constexpr int block_rows = warp_rows * tile_warps;
constexpr float log2_e = 1.44269504088896341F;

/// `rows` rows of `dims` numbers, two in a word. A row is 4 words longer than its numbers: eight
/// rows of a matrix lie in 32 banks then.
template <int rows, int dims>
struct NarrowTile {
  static constexpr int stride = dims / 2 + 4;
  Shared<std::uint32_t, rows * stride> words;

  /// Rows [begin, begin + rows) of `from`, columns [column, column + head_dim), rounded to T; zeros
  /// from row `end` and behind head_dim. All threads of the block take part.
  template <typename T>
  __device__ __forceinline__ void fill(const Rows<float>& from, std::int64_t begin,
                                       std::int64_t end, std::int64_t column, std::int64_t head_dim,
                                       bool packed) {
    constexpr int groups = dims / 4;
    const int thread = static_cast<int>(threadIdx.y * lanes + threadIdx.x);
    // The sums of 16 rows take most registers: loads of two steps are in flight, not of all.
#pragma unroll 2
    for (int i = thread; i < rows * groups; i += static_cast<int>(lanes) * tile_warps) {
      const int row = i / groups;
      const int d = i % groups * 4;
      Floats<4> some = {};
      if (begin + row < end) {
        some = packed ? load_floats<4, true>(from, begin + row, column + d, column + head_dim)
                      : load_floats<4, false>(from, begin + row, column + d, column + head_dim);
      }
      words.store(row * stride + d / 2, pair_in_word<T>(some.at[0], some.at[1]));
      words.store(row * stride + d / 2 + 1, pair_in_word<T>(some.at[2], some.at[3]));
    }
  }
  /// Left operand: rows [first, first + 16), columns [16 k, 16 k + 16).
  __device__ __forceinline__ void left(std::uint32_t (&to)[4], int first, int k) {
    const int lane = static_cast<int>(threadIdx.x);
    const int row = first + lane / 8 % 2 * 8 + lane % 8;
    load_matrices<false>(to, words, row * stride + k * 8 + lane / 16 * 4);
  }
  /// Right operands, transposed: columns [16 k, 16 k + 16) of rows [first, first + 8), and of the
  /// eight rows behind.
  __device__ __forceinline__ void right_transposed(std::uint32_t (&to)[4], int first, int k) {
    const int lane = static_cast<int>(threadIdx.x);
    const int row = first + lane / 16 * 8 + lane % 8;
    load_matrices<false>(to, words, row * stride + k * 8 + lane / 8 % 2 * 4);
  }
  /// Right operands: rows [first, first + 16) of columns [8 n, 8 n + 8), and of the eight behind.
  __device__ __forceinline__ void right(std::uint32_t (&to)[4], int first, int n) {
    const int lane = static_cast<int>(threadIdx.x);
    const int row = first + lane / 8 % 2 * 8 + lane % 8;
    load_matrices<true>(to, words, row * stride + n * 4 + lane / 16 * 4);
  }
};

/// A warp's 16 x (8 columns) result: of lane 4 g + t the elements (g, 8 j + 2 t), (g, 8 j + 2 t +
/// 1) and those of row g + 8.
template <int columns>
using WarpTile = float[columns / 8][4];

/// Column of element i of part j of this lane, and its row in the warp's 16.
__device__ __forceinline__ int column_of(int j, int i) {
  return 8 * j + static_cast<int>(threadIdx.x) % 4 * 2 + i % 2;
}
__device__ __forceinline__ int row_of(int i) {
  return static_cast<int>(threadIdx.x) / 4 + i / 2 * 8;
}

/// Columns [16 k, 16 k + 16) of a result as a left operand, rounded to T.
template <typename T, int parts>
__device__ __forceinline__ void as_left(std::uint32_t (&to)[4], const float (&from)[parts][4],
                                        int k) {
  to[0] = pair_in_word<T>(from[2 * k][0], from[2 * k][1]);
  to[1] = pair_in_word<T>(from[2 * k][2], from[2 * k][3]);
  to[2] = pair_in_word<T>(from[2 * k + 1][0], from[2 * k + 1][1]);
  to[3] = pair_in_word<T>(from[2 * k + 1][2], from[2 * k + 1][3]);
}

/// to += left (16 x 16) tile^T, over 16 columns: k.
template <typename T, int parts, typename Tile>
__device__ __forceinline__ void add_transposed(float (&to)[parts][4],
                                               const std::uint32_t (&left)[4], Tile& other, int k) {
#pragma unroll
  for (int j = 0; j < parts; j += 2) {
    std::uint32_t right[4];
    other.right_transposed(right, 8 * j, k);
    multiply_add<T>(to[j], left, right[0], right[1]);
    multiply_add<T>(to[j + 1], left, right[2], right[3]);
  }
}

/// to += weights tile: [16, columns of the tile].
template <typename T, int parts, int steps, typename Tile>
__device__ __forceinline__ void add_weighted(float (&to)[parts][4],
                                             const float (&weights)[steps][4], Tile& other) {
#pragma unroll
  for (int k = 0; k < steps / 2; ++k) {
    std::uint32_t left[4];
    as_left<T>(left, weights, k);
#pragma unroll
    for (int n = 0; n < parts; n += 2) {
      std::uint32_t right[4];
      other.right(right, 16 * k, n);
      multiply_add<T>(to[n], left, right[0], right[1]);
      multiply_add<T>(to[n + 1], left, right[2], right[3]);
    }
  }
}

/// Calls work.template operator()<T, dims>() with the format and the least compiled width.
template <typename Work>
void with_narrow_head(const AttentionShape& shape, Work&& work) {
  const auto widths = [&]<typename T>() {
    if (shape.head_dim <= 64) return work.template operator()<T, 64>();
    if (shape.head_dim <= 96) return work.template operator()<T, 96>();
    return work.template operator()<T, 128>();
  };
  if (shape.rounds_to == Dtype::bf16) {
    widths.template operator()<__nv_bfloat16>();
  } else {
    widths.template operator()<__half>();
  }
}

/// Whether heads' rows may be read in groups of 4.
template <typename... Views>
bool packed_heads(const AttentionShape& shape, const Views&... views) {
  return shape.head_dim % 4 == 0 && packs<4>(views...);
}

/// 64 rows of `length` a block, then heads and sequences.
inline dim3 owner_grid(std::int64_t length, std::int64_t heads, std::int64_t batch) {
  return {blocks_for(length, block_rows), static_cast<unsigned>(heads),
          static_cast<unsigned>(batch)};
}

}  // namespace concordat::device::cuda
