// Half precision as CUDA's header has it, as far as the plug-in uses it.
#pragma once

#include "concordat/core/dtype.hpp"

struct __half {
  concordat::F16 value;
};
inline __half __float2half_rn(float x) { return {concordat::to_f16(x)}; }
inline float __half2float(__half x) { return concordat::to_float(x.value); }
