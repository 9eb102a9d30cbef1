// What device code may call: built-in variables, barriers, warp primitives, checked memory.
#pragma once

#include <math.h>  // device code has these names without std
#include <string>

inline constinit thread_local uint3 threadIdx{};
inline constinit thread_local uint3 blockIdx{};
inline constinit thread_local dim3 blockDim{};
inline constinit thread_local dim3 gridDim{};
inline constexpr int warpSize = 32;

namespace cuda_emulator {

/// Ends the running kernel: the device is lost, as after a bad access on a real one.
[[noreturn]] void fault(const std::string& what);

/// Where the running CUDA thread stands in its block's order.
struct Here {
  std::uint32_t block_serial = 0;  ///< of this block among all that ever ran
  std::uint32_t block_epoch = 0;   ///< barriers of the block so far
  std::uint32_t warp_epoch = 0;    ///< __syncwarp of the warp so far
  std::int32_t thread = -1;        ///< linear index in the block; -1: no kernel runs
  std::int32_t warp() const { return thread / 32; }
};
inline constinit thread_local Here running_thread{};
inline constinit std::uint64_t wide_access_count = 0;  // of 128 bits and more
inline const Here& here() { return running_thread; }

void block_barrier();
bool block_barrier_or(bool vote);
void warp_barrier(unsigned mask);
/// All lanes' values, in lane order.
const std::uint64_t* warp_exchange(unsigned mask, std::uint64_t value);

/// Of the reserved range that device memory lies in: for each byte of it one that tells its state.
enum class ByteState : std::uint8_t { free = 0, allocated = 1, written = 2 };
struct DeviceRange {
  const std::byte* begin = nullptr;
  std::size_t bytes = 0;
  ByteState* states = nullptr;
};
inline constinit DeviceRange device_range{};

[[noreturn]] void bad_access(const void* at, std::size_t bytes, bool reads);

inline void check_read(const void* from, std::size_t bytes) {
  const auto at =
      static_cast<std::size_t>(static_cast<const std::byte*>(from) - device_range.begin);
  if (at >= device_range.bytes || bytes > device_range.bytes - at) bad_access(from, bytes, true);
  if (bytes == 4) {  // most accesses: all states in one comparison
    std::uint32_t states = 0;
    std::memcpy(&states, device_range.states + at, sizeof states);
    if (states == 0x02020202U) return;
  }
  for (std::size_t i = 0; i < bytes; ++i) {
    if (device_range.states[at + i] != ByteState::written) bad_access(from, bytes, true);
  }
}

inline void check_write(void* to, std::size_t bytes) {
  const auto at = static_cast<std::size_t>(static_cast<const std::byte*>(to) - device_range.begin);
  if (at >= device_range.bytes || bytes > device_range.bytes - at) bad_access(to, bytes, false);
  if (bytes == 4) {
    std::uint32_t states = 0;
    std::memcpy(&states, device_range.states + at, sizeof states);
    if (states == 0x02020202U) return;
  }
  for (std::size_t i = 0; i < bytes; ++i) {
    if (device_range.states[at + i] == ByteState::free) bad_access(to, bytes, false);
    device_range.states[at + i] = ByteState::written;
  }
}

template <typename T>
T shuffle(unsigned mask, T value, int lane) {
  static_assert(sizeof(T) <= 8);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  const std::uint64_t got = warp_exchange(mask, bits)[lane & 31];
  std::memcpy(&value, &got, sizeof value);
  return value;
}
inline int lane() { return here().thread % 32; }

}  // namespace cuda_emulator

inline void __syncthreads() { cuda_emulator::block_barrier(); }
inline int __syncthreads_or(int vote) { return cuda_emulator::block_barrier_or(vote != 0) ? 1 : 0; }
inline void __syncwarp(unsigned mask = 0xFFFFFFFFU) { cuda_emulator::warp_barrier(mask); }
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask) {
  return cuda_emulator::shuffle(mask, value, cuda_emulator::lane() ^ lane_mask);
}
template <typename T>
T __shfl_sync(unsigned mask, T value, int lane) {
  return cuda_emulator::shuffle(mask, value, lane);
}
inline unsigned __ballot_sync(unsigned mask, int vote) {
  const std::uint64_t* votes = cuda_emulator::warp_exchange(mask, vote != 0 ? 1U : 0U);
  unsigned bits = 0;
  for (unsigned i = 0; i < 32; ++i) bits |= static_cast<unsigned>(votes[i]) << i;
  return bits;
}
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline float rsqrtf(float x) { return 1.0F / ::sqrtf(x); }
inline void sincos(double x, double* sine, double* cosine) {
  *sine = ::sin(x);
  *cosine = ::cos(x);
}
inline std::uint32_t __float_as_uint(float x) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
// Built without contraction (CMakeLists.txt), so these are what they say.
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
