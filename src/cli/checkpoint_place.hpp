// The folder that a user of `concordat checkpoint` names: a run folder, its checkpoints/, or one
// generation in it.
#pragma once

#include <filesystem>
#include <string>

namespace concordat::cli {

struct CheckpointPlace {
  std::filesystem::path folder{};  ///< where the generations lie
  std::string generation{};        ///< the name of the one that was named; empty: all of them
  std::filesystem::path path() const { return generation.empty() ? folder : folder / generation; }
};

/// @throws Error(not_found) for what is none of the three, saying what to give instead.
CheckpointPlace find_checkpoints(const std::string& given);
/// The same for one generation. @throws Error(usage) if a whole run was named.
CheckpointPlace find_generation(const std::string& given);

}  // namespace concordat::cli
