// What kernels ask of tensor cores (sm_80 and newer): products of 16 x 16 by 16 x 8 tiles of 16-bit
// numbers, held by the lanes of a warp as PTX lays them down for mma.m16n8k16, and their way there
// from shared memory. The emulated CUDA of the tests has a twin of this file.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <type_traits>

#include "cuda_access.cuh"

namespace concordat::device::cuda {

/// Two numbers rounded to T in one word, `low` in its lower half.
template <typename T>
__device__ __forceinline__ std::uint32_t pair_in_word(float low, float high) {
  std::uint32_t word = 0;
  if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  } else {
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  }
  return word;
}

/// d += a b. Of lane 4 g + t: d holds (g, 2 t), (g, 2 t + 1), (g + 8, 2 t), (g + 8, 2 t + 1); a the
/// pairs (g, 2 t), (g + 8, 2 t), (g, 2 t + 8), (g + 8, 2 t + 8); b those of rows 2 t and 2 t + 8 of
/// column g. All lanes of the warp take part.
template <typename T>
__device__ __forceinline__ void multiply_add(float (&d)[4], const std::uint32_t (&a)[4],
                                             std::uint32_t b0, std::uint32_t b1) {
  if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  } else {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
}

/// Four 8 x 8 matrices: lane 8 m + i says at which word row i of matrix m begins (a multiple of 4).
/// Of matrix m lane 4 g + t gets the pair (g, 2 t), (g, 2 t + 1), or transposed (2 t, g),
/// (2 t + 1, g). All lanes of the warp take part.
template <bool transposed, int count>
__device__ __forceinline__ void load_matrices(std::uint32_t (&to)[4],
                                              Shared<std::uint32_t, count>& from, int at) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(from.address_of(at)));
  if constexpr (transposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
  }
}

}  // namespace concordat::device::cuda
