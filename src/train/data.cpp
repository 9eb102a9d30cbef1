#include "concordat/train/data.hpp"

#include <algorithm>

namespace concordat::train {

std::int64_t ValidationData::num_bytes(std::span<const std::int32_t> targets) const {
  return std::count_if(targets.begin(), targets.end(),
                       [](std::int32_t token) { return token >= 0 && token < 256; });
}

}  // namespace concordat::train
