#include "site/job_data.hpp"

#include <algorithm>

#include "concordat/core/error.hpp"

namespace concordat::site {

MixedTraining::MixedTraining(std::vector<data::Dataset> datasets)
    : datasets_(std::move(datasets)) {}

void MixedTraining::sample(std::uint64_t global_index, std::span<std::int32_t> tokens) {
  std::uint64_t which = global_index % datasets_.size();
  std::vector<std::int32_t> window =
      datasets_[which].sample(global_index / datasets_.size(), tokens.size() - 1);
  std::copy(window.begin(), window.end(), tokens.begin());
}

MixedTraining open_training(FileSystem& fs, const FileSystem::Path& data_folder,
                            const std::vector<std::string>& names, ByteView data_key,
                            std::uint64_t seed, const std::string& tokenizer,
                            std::int64_t model_vocabulary) {
  if (names.empty()) {
    throw Error(concordat::errors::config_missing_key,
                {.what = "there is nothing to train on",
                 .where = "data.datasets",
                 .found = "an empty list",
                 .expected = "names of datasets below " + data_folder.string(),
                 .remedy = "run concordat ingest, then name its dataset"});
  }
  std::vector<data::Dataset> datasets;
  for (const std::string& name : names) {
    datasets.push_back(
        data::Dataset::open(fs, data_folder / name, data_key, data::Split::train, seed));
    data::require_vocabulary(datasets.back().manifest(), tokenizer, model_vocabulary);
  }
  return MixedTraining(std::move(datasets));
}

}  // namespace concordat::site
