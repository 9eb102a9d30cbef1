// What differs between two generations: metadata, datasets, elements.
//
//   const Comparison found = compare_generations(fs, "a/step-000120", "b/step-000120");
//   if (!found.equal()) ... found.datasets.front().first_place ...
//
// Reads the files as they are, block by block, and trusts no digest: whether a generation is what
// its manifest says is verify_generation's question. Layout, ranks and offsets do not matter; the
// elements are compared in their global order. Not collective. Threads: one. Memory: two blocks,
// whatever the generations' size, and the two manifests. Cost: one read of both files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "concordat/checkpoint/checkpoint.hpp"

namespace concordat::checkpoint {

struct CompareOptions {
  /// Two elements a and b differ if |a - b| > absolute + relative * max(|a|, |b|); if both are 0
  /// (default), if their bits differ. An element that is not a number equals itself alone: the same
  /// bits.
  double absolute = 0.0;
  double relative = 0.0;
};

/// A text of the metadata, or "step" or "round"; absent where a side does not have it.
struct MetadataDifference {
  std::string key{};
  std::optional<std::string> first{};
  std::optional<std::string> second{};
};

/// A dataset that both generations hold and that is not the same in both.
struct DatasetDifference {
  std::string name{};
  /// "f32 [4,6]" where shape or type differ; no element is compared then. Empty otherwise.
  std::string first_form{};
  std::string second_form{};
  std::uint64_t num_elements = 0;
  std::uint64_t num_different = 0;
  /// Largest |a - b| and |a - b| / max(|a|, |b|) of the elements that differ. Infinite where one is
  /// infinite or not a number.
  double largest_absolute = 0.0;
  double largest_relative = 0.0;
  std::string first_place{};  ///< "[3,17]"; "" of a scalar
  std::string first_a{};      ///< the values there, exactly
  std::string second_b{};
};

struct Comparison {
  std::vector<MetadataDifference> metadata{};
  std::vector<std::string> only_in_first{};
  std::vector<std::string> only_in_second{};
  std::vector<DatasetDifference> datasets{};  ///< in the first one's order
  std::uint64_t num_compared = 0;             ///< datasets that were compared element by element
  std::uint64_t num_elements = 0;             ///< of these

  bool same_tensors() const {
    return only_in_first.empty() && only_in_second.empty() && datasets.empty();
  }
  bool equal() const { return metadata.empty() && same_tensors(); }
};

/// @throws Error(not_found | malformed | io_failed): a manifest that cannot be read, a file that
/// ends early.
Comparison compare_generations(FileSystem& fs, const Path& first, const Path& second,
                               const CompareOptions& options = {});

}  // namespace concordat::checkpoint
