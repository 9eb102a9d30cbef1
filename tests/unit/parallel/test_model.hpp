// Parameters of a small llama-like model and random layouts for them.
#pragma once

#include <random>
#include <vector>

#include "concordat/parallel/canonical_space.hpp"

namespace concordat::parallel {

/// Embedding (padded vocabulary, tied over first and last stage when pp > 1), per layer norm, q, k
/// (2 KV heads), row-parallel o, and a final norm. The logical tensors do not depend on the mesh.
inline std::vector<ParameterSpec> test_model(const MeshShape& mesh) {
  constexpr std::int64_t width = 12;
  auto stage_of = [&](int layer) { return layer * mesh.pp / 4; };
  std::vector<ParameterSpec> specs;
  ParameterSpec embedding{.name = "embed", .shape = {11, width}, .shard_axis = 0, .padded = true};
  if (mesh.pp > 1) embedding.stages = {0, mesh.pp - 1};
  specs.push_back(embedding);
  for (int layer = 0; layer < 4; ++layer) {
    const std::string prefix = "layers." + std::to_string(layer) + ".";
    const std::vector<int> stages{stage_of(layer)};
    specs.push_back({.name = prefix + "norm", .shape = {width}, .stages = stages});
    specs.push_back(
        {.name = prefix + "q", .shape = {width, width}, .shard_axis = 0, .stages = stages});
    specs.push_back({.name = prefix + "k",
                     .shape = {4, width},
                     .shard_axis = 0,
                     .groups = 2,
                     .stages = stages});
    specs.push_back(
        {.name = prefix + "o", .shape = {width, width}, .shard_axis = 1, .stages = stages});
  }
  specs.push_back({.name = "norm", .shape = {width}, .stages = {mesh.pp - 1}});
  return specs;
}

/// All meshes of at most `max_ranks` ranks that the model can have (tp 1, 2, 4, 6; pp up to 4).
inline std::vector<MeshShape> test_meshes(int max_ranks) {
  std::vector<MeshShape> meshes;
  for (int tp : {1, 2, 4, 6}) {
    for (int pp = 1; pp <= 4; ++pp) {
      for (int cp = 1; cp <= 3; ++cp) {
        for (int dp = 1; dp <= 6; ++dp) {
          MeshShape mesh{dp, pp, cp, tp};
          if (mesh.size() <= max_ranks) meshes.push_back(mesh);
        }
      }
    }
  }
  return meshes;
}

/// Local flat space filled with the canonical index of each element; -1 is padding.
inline std::vector<std::int32_t> canonical_values(const LocalLayout& layout) {
  std::vector<std::int32_t> values(static_cast<std::size_t>(layout.num_local), -1);
  for (const auto& segment : layout.held) {
    for (std::int64_t i = 0; i < segment.count; ++i) {
      for (std::int64_t k = 0; k < segment.run; ++k) {
        values[static_cast<std::size_t>(segment.local_begin + i * segment.local_stride + k)] =
            static_cast<std::int32_t>(segment.begin + i * segment.stride + k);
      }
    }
  }
  return values;
}

}  // namespace concordat::parallel
