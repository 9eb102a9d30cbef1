#include "device/cpu/vector_kernels.hpp"

#include <immintrin.h>

#include "device/cpu/products.hpp"

namespace concordat::device {

#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi2,f16c")
namespace avx2 {
#include "device/cpu/vector_kernels.inc"
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target( \
    "avx2,fma,bmi2,f16c,avx512f,avx512bw,avx512dq,avx512vl,prfchw,prefer-vector-width=512")
namespace avx512 {
#include "device/cpu/vector_kernels.inc"
}  // namespace avx512
#pragma GCC pop_options

bool avx2_usable() {
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
         __builtin_cpu_supports("bmi2") != 0 && __builtin_cpu_supports("f16c") != 0;
}

const VectorKernels& vector_kernels() {
  static const bool wide = __builtin_cpu_supports("avx512f") != 0 &&
                           __builtin_cpu_supports("avx512bw") != 0 &&
                           __builtin_cpu_supports("avx512dq") != 0 &&
                           __builtin_cpu_supports("avx512vl") != 0 && Products::uses_avx512();
  static const VectorKernels chosen = wide ? avx512::table("avx512") : avx2::table("avx2");
  return chosen;
}

}  // namespace concordat::device
