// The emulated twin of src/device/cuda/hardware/tensor_cores.cuh: every lane of a warp brings its
// part of the operands, as PTX lays them down, and gets its part of the result.
#pragma once

#include "cuda_access.cuh"
#include "cuda_bf16.h"
#include "cuda_fp16.h"

namespace cuda_emulator {

inline float widened(__nv_bfloat16 x) { return __bfloat162float(x); }
inline float widened(__half x) { return __half2float(x); }

template <typename T>
float half_of(std::uint32_t word, int which) {
  return widened(T{static_cast<std::uint16_t>(word >> (16 * which))});
}

}  // namespace cuda_emulator

namespace concordat::device::cuda {

template <typename T>
std::uint32_t pair_in_word(float low, float high) {
  if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    return __float2bfloat16_rn(low).bits | std::uint32_t{__float2bfloat16_rn(high).bits} << 16U;
  } else {
    return __float2half_rn(low).bits | std::uint32_t{__float2half_rn(high).bits} << 16U;
  }
}

template <typename T>
void multiply_add(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  const auto both = [](std::uint32_t low, std::uint32_t high) {
    return low | std::uint64_t{high} << 32U;
  };
  std::uint64_t words[3][32];
  const std::uint64_t mine[3] = {both(a[0], a[1]), both(a[2], a[3]), both(b0, b1)};
  for (int part = 0; part < 3; ++part) {
    std::memcpy(words[part], cuda_emulator::warp_exchange(0xFFFFFFFFU, mine[part]),
                sizeof words[part]);
  }
  const int row = cuda_emulator::lane() / 4;
  const int column = cuda_emulator::lane() % 4 * 2;
  for (int k = 0; k < 16; ++k) {
    const int owner = k % 8 / 2;  // of the four lanes of a row of a, or of a column of b
    const auto& left = words[k / 8];
    for (int i = 0; i < 4; ++i) {
      const auto a_word = static_cast<std::uint32_t>(left[row * 4 + owner] >> (32 * (i / 2)));
      const auto b_word =
          static_cast<std::uint32_t>(words[2][(column + i % 2) * 4 + owner] >> (32 * (k / 8)));
      d[i] += cuda_emulator::half_of<T>(a_word, k % 2) * cuda_emulator::half_of<T>(b_word, k % 2);
    }
  }
}

template <bool transposed, int count>
void load_matrices(std::uint32_t (&to)[4], Shared<std::uint32_t, count>& from, int at) {
  if (at % 4 != 0) cuda_emulator::fault("a row of a matrix that is no multiple of 16 bytes away");
  std::uint64_t rows[32];
  std::memcpy(rows, cuda_emulator::warp_exchange(0xFFFFFFFFU, static_cast<std::uint64_t>(at)),
              sizeof rows);
  const int g = cuda_emulator::lane() / 4;
  const int t = cuda_emulator::lane() % 4;
  for (int m = 0; m < 4; ++m) {
    const auto row = [&](int i) { return static_cast<int>(rows[m * 8 + i]); };
    if constexpr (transposed) {
      const std::uint32_t low = from.load(row(2 * t) + g / 2) >> (g % 2 * 16);
      const std::uint32_t high = from.load(row(2 * t + 1) + g / 2) >> (g % 2 * 16);
      to[m] = (low & 0xFFFFU) | high << 16U;
    } else {
      to[m] = from.load(row(g) + t);
    }
  }
}

}  // namespace concordat::device::cuda
