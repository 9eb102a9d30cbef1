// Hugging Face folders of any family, written for tests from logical tensors.
//
//   write_folder(folder, tiny_config(), random_weights(specs, 7));
#pragma once

#include "concordat/model/import.hpp"
#include "support.hpp"
#include "support/temporary_folder.hpp"

namespace concordat::model::test {

/// Writes logical tensors as the family's foreign ones.
inline void write_tensors(const FileSystem::Path& path, const ModelConfig& config,
                          const ByName& values, Dtype dtype = Dtype::f32) {
  const auto specs = declare_parameters(config);
  const auto groups = foreign_groups(config, specs);
  std::vector<SafetensorsWriter::Planned> planned;
  for (const ForeignGroup& group : groups) planned.push_back({group.whole.name, group.whole.shape});
  posix_files().remove(path);
  SafetensorsWriter out(posix_files(), path, planned, dtype, {{"format", "pt"}});
  const ReadOurs read = [&](std::size_t index, std::int64_t first, std::span<float> to) {
    std::copy_n(values.at(specs[index].name).begin() + first, to.size(), to.begin());
  };
  for (std::size_t i = 0; i < groups.size(); ++i) {
    write_group(out, i, config, specs, groups[i], read);
  }
  out.finish();
}

/// A folder as a stranger would hand it over.
inline void write_folder(const FileSystem::Path& folder, const ModelConfig& config,
                         const ByName& values, Dtype dtype = Dtype::f32) {
  write_tensors(folder / single_weights_name, config, values, dtype);
  testing_support::overwrite(
      folder / "config.json",
      as_bytes(huggingface_config({.config = config, .max_length = 64, .dtype = dtype})));
}

}  // namespace concordat::model::test
