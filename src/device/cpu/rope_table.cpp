#include "device/cpu/rope_table.hpp"

#include <cmath>

namespace concordat::device {

std::shared_ptr<const RopeTable> RopeTables::table(const RopeOptions& options,
                                                   std::int64_t largest_position) {
  std::lock_guard lock(mutex_);
  std::shared_ptr<const RopeTable>& kept = tables_[{options.head_dim, options.base}];
  if (kept && kept->positions > largest_position) return kept;
  std::int64_t half = options.head_dim / 2;
  auto grown = std::make_shared<RopeTable>();
  grown->positions = 128;
  while (grown->positions <= largest_position) grown->positions *= 2;
  auto count = static_cast<std::size_t>(grown->positions * half);
  grown->cosines.resize(count);
  grown->sines.resize(count);
  for (std::int64_t i = 0; i < half; ++i) {
    double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(options.head_dim);
    double frequency = std::pow(options.base, exponent);
    for (std::int64_t p = 0; p < grown->positions; ++p) {
      auto at = static_cast<std::size_t>(p * half + i);
      grown->cosines[at] = static_cast<float>(std::cos(static_cast<double>(p) * frequency));
      grown->sines[at] = static_cast<float>(std::sin(static_cast<double>(p) * frequency));
    }
  }
  kept = std::move(grown);
  return kept;
}

}  // namespace concordat::device
