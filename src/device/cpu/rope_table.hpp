// Cosines and sines of rotary angles, kept per (head_dim, base) and grown to the largest position
// seen: 16 calls of a small model's step would otherwise spend as long on sin() as on attention.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "concordat/device/ops/rope.hpp"

namespace concordat::device {

struct RopeTable {
  std::vector<float> cosines;  // [positions, head_dim / 2]
  std::vector<float> sines;
  std::int64_t positions = 0;
};

class RopeTables {
 public:
  /// A table with more than `largest_position` rows; safe from many threads.
  std::shared_ptr<const RopeTable> table(const RopeOptions& options, std::int64_t largest_position);

 private:
  std::mutex mutex_;
  std::map<std::pair<std::int64_t, double>, std::shared_ptr<const RopeTable>> tables_;
};

}  // namespace concordat::device
