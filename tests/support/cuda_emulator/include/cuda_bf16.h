// bfloat16 as CUDA's header has it, as far as the plug-in uses it.
#pragma once

#include "concordat/core/dtype.hpp"

struct __nv_bfloat16 {
  std::uint16_t bits;
};
inline __nv_bfloat16 __float2bfloat16_rn(float x) { return {concordat::to_bf16(x).bits}; }
inline float __bfloat162float(__nv_bfloat16 x) {
  return concordat::to_float(concordat::Bf16{x.bits});
}
