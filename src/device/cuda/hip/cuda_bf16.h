// bfloat16 under CUDA's names: storage with conversions, round to nearest even, NaN stays NaN.
#pragma once

#include "cuda_runtime.h"

struct __nv_bfloat16 {
  unsigned short bits;
};

__device__ __forceinline__ float __bfloat162float(__nv_bfloat16 x) {
  return __uint_as_float(static_cast<unsigned>(x.bits) << 16U);
}
__device__ __forceinline__ __nv_bfloat16 __float2bfloat16_rn(float x) {
  const unsigned bits = __float_as_uint(x);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return {static_cast<unsigned short>(bits >> 16U | 0x40U)};
  return {static_cast<unsigned short>((bits + 0x7FFFU + (bits >> 16U & 1U)) >> 16U)};
}
