// The datasets of a training job behind the trainer's seams. Sample i comes from dataset i mod n,
// so a pooled run takes equal shares of every dataset in every step.
#pragma once

#include <string>
#include <vector>

#include "concordat/core/file.hpp"
#include "concordat/train/data.hpp"

namespace concordat::site {

/// Training windows of several datasets, interleaved. Owns the datasets.
class MixedTraining final : public train::TrainingData {
 public:
  explicit MixedTraining(std::vector<data::Dataset> datasets);
  void sample(std::uint64_t global_index, std::span<std::int32_t> tokens) override;

 private:
  std::vector<data::Dataset> datasets_;
};

/// The training splits of `names` below `data_folder`, in the order of the names.
/// @throws Error(config_missing_key) if there are no names, those of data::Dataset::open, and
/// Error(data.vocabulary_differs) for a dataset of another tokenizer, or whose ids do not fit.
MixedTraining open_training(FileSystem& fs, const FileSystem::Path& data_folder,
                            const std::vector<std::string>& names, ByteView data_key,
                            std::uint64_t seed, const std::string& tokenizer,
                            std::int64_t model_vocabulary);

}  // namespace concordat::site
