// The seams of train/data.hpp over encrypted shards.
#include <algorithm>
#include <cmath>

#include "concordat/core/error.hpp"
#include "concordat/train/data.hpp"

namespace concordat::train {

namespace {
void copy_window(const std::vector<std::int32_t>& window, std::span<std::int32_t> tokens) {
  CONCORDAT_REQUIRE(window.size() == tokens.size(), std::to_string(window.size()));
  std::copy(window.begin(), window.end(), tokens.begin());
}
}  // namespace

void DatasetTraining::sample(std::uint64_t global_index, std::span<std::int32_t> tokens) {
  copy_window(dataset_.sample(global_index, tokens.size() - 1), tokens);
}

DatasetValidation::DatasetValidation(data::Dataset& dataset, GlobalLength length,
                                     std::uint64_t max_windows)
    : dataset_(dataset),
      available_(dataset.num_windows(static_cast<std::uint64_t>(length.value()))),
      count_(std::min(available_, max_windows)) {}

void DatasetValidation::window(std::uint64_t index, std::span<std::int32_t> tokens) {
  // Evenly spread: window i of n out of a available ones begins at i * a / n.
  copy_window(dataset_.window(index * available_ / count_, tokens.size() - 1), tokens);
}

std::int64_t DatasetValidation::num_bytes(std::span<const std::int32_t> targets) const {
  const data::DatasetManifest& manifest = dataset_.manifest();
  if (manifest.vocabulary.kind == data::Vocabulary::bytes) {
    return ValidationData::num_bytes(targets);
  }
  const auto separator = static_cast<std::int32_t>(manifest.vocabulary.separator);
  const auto words = std::count_if(targets.begin(), targets.end(),
                                   [&](std::int32_t token) { return token != separator; });
  const auto in_all = manifest.num_tokens(data::Split::train) +
                      manifest.num_tokens(data::Split::validation) - manifest.num_documents;
  const double mean = static_cast<double>(manifest.num_bytes) / static_cast<double>(in_all);
  return std::llround(mean * static_cast<double>(words));
}

}  // namespace concordat::train
