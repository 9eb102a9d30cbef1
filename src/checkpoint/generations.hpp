// Names of generations and of what is no generation (yet or any more).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "concordat/checkpoint/checkpoint.hpp"

namespace concordat::checkpoint {

/// "step-000120" is (120, 0), "step-000120.2" is (120, 2): the order of generations.
using GenerationKey = std::pair<std::uint64_t, std::uint64_t>;
std::optional<GenerationKey> parse_generation(std::string_view name);
std::string generation_name(const GenerationKey& key);
/// Whether generation_name() gives this very text.
bool names_generation(std::string_view name);

/// The name for a new generation of `step`: never one that exists in any of the folders.
std::string next_name(FileSystem& fs, const std::vector<Path>& folders, std::uint64_t step);

/// `.new-NAME` while it is written, `.old-NAME` while it is removed.
inline constexpr std::string_view unfinished_prefix = ".new-";
inline constexpr std::string_view removed_prefix = ".old-";
inline constexpr std::string_view set_aside_prefix = "set-aside-";

/// Removes what crashes left behind.
void sweep(FileSystem& fs, const Path& folder);
/// Renames what is newer than `name` to set-aside names; the names it had.
std::vector<std::string> set_newer_aside(FileSystem& fs, const Path& folder,
                                         const std::string& name);
/// Of `names`, those that `every` (above 0) lets stay: the first at or after each multiple of it,
/// from `every` itself on. The rule sees only names, and removing others changes nothing of it.
/// Pure.
std::vector<std::string> kept_every(const std::vector<std::string>& names, std::uint64_t every);
/// Renames it first, so that a crash never leaves half a generation under its name.
void remove_generation(FileSystem& fs, const Path& folder, const std::string& name);
/// Removes all but the newest `options.keep`, those that `options.keep_every` names and the pinned.
void remove_old(FileSystem& fs, const Path& folder, const SaveOptions& options);

}  // namespace concordat::checkpoint
