// Half precision as CUDA's header has it, as far as the plug-in uses it.
#pragma once

#include "concordat/core/dtype.hpp"

struct __half {
  std::uint16_t bits;
};
inline __half __float2half_rn(float x) { return {concordat::to_f16(x).bits}; }
inline float __half2float(__half x) { return concordat::to_float(concordat::F16{x.bits}); }
