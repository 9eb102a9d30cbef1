// Typed access to lanes that lie in byte spans of any alignment.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

#include "concordat/core/error.hpp"
#include "concordat/exact/lanes.hpp"

namespace concordat::exact {

/// memcpy is how C++ reads unaligned words; compilers turn these into plain vector loads.
template <typename T>
T load(const std::uint8_t* bytes, std::size_t index) {
  T value;
  std::memcpy(&value, bytes + index * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
void store(std::uint8_t* bytes, std::size_t index, T value) {
  std::memcpy(bytes + index * sizeof(T), &value, sizeof(T));
}

/// Calls f.operator()<T>() with the lane's unsigned type.
template <typename F>
decltype(auto) with_lane(Lane lane, F&& f) {
  switch (lane) {
    case Lane::u8:
      return f.template operator()<std::uint8_t>();
    case Lane::u16:
      return f.template operator()<std::uint16_t>();
    case Lane::u32:
      return f.template operator()<std::uint32_t>();
  }
  throw Bug("lane of " + std::to_string(static_cast<int>(lane)) + " bits");
}

}  // namespace concordat::exact
