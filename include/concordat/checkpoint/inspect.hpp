// What lies in a folder of checkpoints, for people: generations and what is none (yet or any more).
//
//   for (const Listed& row : inspect_folder(fs, run / "checkpoints")) ... row.name, row.reason ...
//
// Reads manifests and lengths, not the data: verify_generation does that. What cannot be read is a
// row with its reason, never a failure, so a damaged folder can be looked at. Not collective.
// Threads: one. A training job may write beside it: a generation that goes while this looks is left
// out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "concordat/checkpoint/checkpoint.hpp"

namespace concordat::checkpoint {

enum class Standing {
  generation,  ///< a restart may take it
  set_aside,   ///< of a course that the run left; never restored
  unfinished,  ///< being written, or left by a crash; swept at the next save
  removed,     ///< being removed; swept at the next save
};
/// "generation", "set aside", "unfinished", "being removed".
std::string_view name_of(Standing standing);

struct Listed {
  std::string name{};  ///< of the directory
  Standing standing = Standing::generation;
  bool latest = false;                 ///< LATEST names it
  std::optional<Manifest> manifest{};  ///< absent if it cannot be read
  std::string reason{};                ///< what is wrong; empty if nothing that a look can tell
  bool newer = false;       ///< a newer version wrote it: a restart refuses, and takes no older one
  std::uint64_t bytes = 0;  ///< of state.h5, as it is
  /// When the manifest was written, else the directory; seconds since 1970, UTC.
  std::int64_t saved_unix_seconds = 0;
};

/// Whether the name is one of those that a folder of checkpoints holds.
std::optional<Standing> standing_of(std::string_view name);

/// Generations newest first, then what was set aside, then the rest.
std::vector<Listed> inspect_folder(FileSystem& fs, const Path& folder);
/// One of them. `latest` is not looked up.
Listed inspect_generation(FileSystem& fs, const Path& generation);

/// What LATEST names; nullopt if it is not there or names no generation that is.
std::optional<std::string> latest_generation(FileSystem& fs, const Path& folder);
/// What FAST names: the generation that the fast tier of the nodes had last. nullopt if there is no
/// such record that can be read.
std::optional<std::string> fast_generation(FileSystem& fs, const Path& folder);

}  // namespace concordat::checkpoint
