// Where tokens come from: seams that `data` fills and tests fake.
//
//   data::Dataset train = data::Dataset::open(...), held_out = data::Dataset::open(...);
//   DatasetTraining training(train);
//   DatasetValidation validation(held_out, GlobalLength(128));
//   training.sample(global_index, tokens);      // a function of (seed, global_index) alone
//
// Data order: step s trains on the samples s * batch ... s * batch + batch - 1, whatever the
// layout; the replicas share them out. So a cursor is one number, and dp may change between two
// runs.
#pragma once

#include <cstdint>
#include <span>

#include "concordat/data/dataset.hpp"
#include "concordat/model/length.hpp"

namespace concordat::train {

using model::GlobalLength;

class TrainingData {
 public:
  virtual ~TrainingData() = default;
  /// Fills tokens[0 .. length]: inputs are 0..length-1, targets 1..length. A pure function of
  /// global_index and tokens.size().
  virtual void sample(std::uint64_t global_index, std::span<std::int32_t> tokens) = 0;
};

class ValidationData {
 public:
  virtual ~ValidationData() = default;
  virtual std::uint64_t num_windows() const = 0;
  /// Window `index` of length + 1 tokens.
  virtual void window(std::uint64_t index, std::span<std::int32_t> tokens) = 0;
  /// Bytes of text that these targets stand for. Byte tokens: one each, separators (256 on) none.
  virtual std::int64_t num_bytes(std::span<const std::int32_t> targets) const;
};

/// @pre the dataset outlives it.
class DatasetTraining final : public TrainingData {
 public:
  explicit DatasetTraining(data::Dataset& dataset) : dataset_(dataset) {}
  void sample(std::uint64_t global_index, std::span<std::int32_t> tokens) override;

 private:
  data::Dataset& dataset_;
};

/// The windows of a split in order, at most `max_windows` of them, spread evenly.
class DatasetValidation final : public ValidationData {
 public:
  DatasetValidation(data::Dataset& dataset, GlobalLength length,
                    std::uint64_t max_windows = UINT64_MAX);
  std::uint64_t num_windows() const override { return count_; }
  void window(std::uint64_t index, std::span<std::int32_t> tokens) override;
  /// Of other tokens than bytes: the dataset's mean bytes a token; 0 where ids were given.
  std::int64_t num_bytes(std::span<const std::int32_t> targets) const override;

 private:
  data::Dataset& dataset_;
  std::uint64_t available_;
  std::uint64_t count_;
};

}  // namespace concordat::train
