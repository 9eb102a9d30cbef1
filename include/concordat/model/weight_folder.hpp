// WeightFolder: the weights of a Hugging Face folder, one model.safetensors or shards with an
// index.
//
//   WeightFolder weights(fs, "llama-3.2-1b");
//   if (const SafetensorsEntry* norm = weights.find("model.norm.weight")) ...
//   weights.read("model.norm.weight", 0, values);
//
// Headers are read when it opens, elements when they are asked for. The index is from strangers: a
// name with a path in it, a shard that is missing, a tensor that its shard does not hold or that
// the index does not name are refused. Failure: Error(model.bad_weights | not_found). Threads: one
// at a time per object. Holds a file open per shard.
#pragma once

#include <map>

#include "concordat/model/safetensors.hpp"

namespace concordat::model {

class WeightFolder {
 public:
  WeightFolder(FileSystem& fs, const FileSystem::Path& folder);
  const FileSystem::Path& folder() const { return folder_; }
  /// Sorted by name.
  const std::vector<std::string>& names() const { return names_; }
  const SafetensorsEntry* find(const std::string& name) const;
  /// As SafetensorsReader::read. @pre find(name).
  void read(const std::string& name, std::int64_t first, std::span<float> out);
  std::size_t num_files() const { return files_.size(); }
  std::uint64_t num_bytes() const;  ///< of all tensors

 private:
  void open_shards(FileSystem& fs, const FileSystem::Path& index);

  FileSystem::Path folder_;
  std::vector<std::unique_ptr<SafetensorsReader>> files_;
  std::map<std::string, std::size_t> file_of_;
  std::vector<std::string> names_;
};

inline constexpr std::string_view single_weights_name = "model.safetensors";
inline constexpr std::string_view weights_index_name = "model.safetensors.index.json";

}  // namespace concordat::model
