// Elements side by side: a thread takes `n` of a row or of a flat span, in accesses of 128 bits
// where the views are packed (each group of n begins at a multiple of 16 bytes, or of its own
// size), else and at a ragged end one by one.
//
//   const auto z = load_floats<n, packed>(x, r, c, x.cols);     // zeros from x.cols on
//   store_floats<n, packed>(out, r, c, out.cols, z);            // those below out.cols
//
// Sums of rows keep their n where the views are not packed, so that their order depends on shapes
// alone; kernels without sums take n = 1 then.
#pragma once

#include "device/cuda/launch.cuh"
#include "device/cuda/views.cuh"

namespace concordat::device::cuda {

template <typename T, int n>
struct alignas(n * sizeof(T) < 16 ? n * sizeof(T) : 16) Pack {
  T at[n];
};
template <int n>
using Floats = Pack<float, n>;

/// Elements of 128 bits of the narrowest of these types.
template <typename... Ts>
inline constexpr int pack_of = static_cast<int>(16 / std::min({sizeof(Ts)...}));

/// Row `r`, columns [c, c + n) of a Rows; what lies at `end` or behind it is `otherwise`.
template <int n, bool packed, typename T>
__device__ __forceinline__ Pack<T, n> load_pack(const Rows<T>& x, std::int64_t r, std::int64_t c,
                                                std::int64_t end, T otherwise = T{}) {
  if constexpr (packed) {
    if (c + n <= end) {
      in_bounds(r, x.rows);
      in_bounds(c, x.cols);
      in_bounds(c + n - 1, x.cols);
      return read(reinterpret_cast<const Pack<T, n>*>(x.data + r * x.stride + c));
    }
  }
  Pack<T, n> values;
#pragma unroll
  for (int i = 0; i < n; ++i) values.at[i] = c + i < end ? x.load(r, c + i) : otherwise;
  return values;
}

template <int n, bool packed, typename T>
__device__ __forceinline__ void store_pack(const Rows<T>& x, std::int64_t r, std::int64_t c,
                                           std::int64_t end, const Pack<T, n>& values) {
  if constexpr (packed) {
    if (c + n <= end) {
      in_bounds(r, x.rows);
      in_bounds(c, x.cols);
      in_bounds(c + n - 1, x.cols);
      write(reinterpret_cast<Pack<T, n>*>(x.data + r * x.stride + c), values);
      return;
    }
  }
#pragma unroll
  for (int i = 0; i < n; ++i) {
    if (c + i < end) x.store(r, c + i, values.at[i]);
  }
}

/// A flat span is one row.
template <typename T>
__device__ __forceinline__ Rows<T> as_row(const Vec<T>& x) {
  return {x.data, 1, x.count, x.count};
}

template <int n, bool packed, typename T>
__device__ __forceinline__ Floats<n> load_floats(const Rows<T>& x, std::int64_t r, std::int64_t c,
                                                 std::int64_t end, float otherwise = 0.0F) {
  if constexpr (element_dtype<T> == Dtype::f32) {
    return load_pack<n, packed>(x, r, c, end, otherwise);
  } else {
    const Pack<T, n> narrow_ones = load_pack<n, packed>(x, r, c, end, narrow<T>(otherwise));
    Floats<n> values;
#pragma unroll
    for (int i = 0; i < n; ++i) values.at[i] = widen(narrow_ones.at[i]);
    return values;
  }
}
template <int n, bool packed, typename T>
__device__ __forceinline__ Floats<n> load_floats(const Vec<T>& x, std::int64_t i) {
  return load_floats<n, packed>(as_row(x), 0, i, x.count);
}

/// Rounded to T.
template <int n, bool packed, typename T>
__device__ __forceinline__ void store_floats(const Rows<T>& x, std::int64_t r, std::int64_t c,
                                             std::int64_t end, const Floats<n>& values) {
  Pack<T, n> rounded;
#pragma unroll
  for (int i = 0; i < n; ++i) rounded.at[i] = narrow<T>(values.at[i]);
  store_pack<n, packed>(x, r, c, end, rounded);
}
template <int n, bool packed, typename T>
__device__ __forceinline__ void store_floats(const Vec<T>& x, std::int64_t i,
                                             const Floats<n>& values) {
  store_floats<n, packed>(as_row(x), 0, i, x.count, values);
}

template <int n, typename T>
bool packs(const Rows<T>& x) {
  constexpr std::size_t bytes = alignof(Pack<T, n>);
  return reinterpret_cast<std::uintptr_t>(x.data) % bytes == 0 &&
         (x.rows <= 1 || static_cast<std::size_t>(x.stride) * sizeof(T) % bytes == 0);
}
template <int n, typename T>
bool packs(const Vec<T>& x) {
  return reinterpret_cast<std::uintptr_t>(x.data) % alignof(Pack<T, n>) == 0;
}
/// Whether groups of n may be touched at once in all of them. Empty views may.
template <int n, typename First, typename Second, typename... Rest>
bool packs(const First& first, const Second& second, const Rest&... rest) {
  return packs<n>(first) && packs<n>(second, rest...);
}

/// Calls work.template operator()<n>(), or <1>() where the views are not packed.
template <int n, typename Work>
void with_pack(bool packed, Work&& work) {
  if (packed) {
    work.template operator()<n>();
  } else {
    work.template operator()<1>();
  }
}

/// Calls work.template operator()<packed>().
template <typename Work>
void with_packed(bool packed, Work&& work) {
  if (packed) {
    work.template operator()<true>();
  } else {
    work.template operator()<false>();
  }
}

inline std::int64_t packs_in(std::int64_t count, int n) { return (count + n - 1) / n; }

}  // namespace concordat::device::cuda
