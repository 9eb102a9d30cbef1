#include "concordat/checkpoint/inspect.hpp"

#include <algorithm>

#include "checkpoint/fast_tier.hpp"
#include "checkpoint/generations.hpp"
#include "checkpoint/manifest.hpp"
#include "concordat/core/file_time.hpp"

namespace concordat::checkpoint {

namespace {

std::string_view without(std::string_view name, std::string_view prefix) {
  return name.substr(name.starts_with(prefix) ? prefix.size() : 0);
}

/// What a look at lengths tells.
void check_length(FileSystem& fs, const Path& generation, Listed& row) {
  const Path state = generation / state_name;
  if (!fs.exists(state)) {
    if (row.reason.empty()) row.reason = std::string("no ") + state_name;
    return;
  }
  row.bytes = fs.file_size(state);
  if (!row.manifest || row.bytes == row.manifest->file_bytes) return;
  row.reason = std::string(state_name) + " has " + std::to_string(row.bytes) +
               " bytes instead of " + std::to_string(row.manifest->file_bytes);
}

std::string short_reason(const Error& error) {
  const ErrorFields& fields = error.fields();
  return fields.found.empty() ? fields.what : fields.what + " (" + fields.found + ")";
}

}  // namespace

std::string_view name_of(Standing standing) {
  switch (standing) {
    case Standing::generation:
      return "generation";
    case Standing::set_aside:
      return "set aside";
    case Standing::unfinished:
      return "unfinished";
    case Standing::removed:
      return "being removed";
  }
  throw Bug("unknown standing");
}

std::optional<Standing> standing_of(std::string_view name) {
  if (names_generation(name)) return Standing::generation;
  for (const auto& [prefix, standing] : {std::pair(set_aside_prefix, Standing::set_aside),
                                         std::pair(unfinished_prefix, Standing::unfinished),
                                         std::pair(removed_prefix, Standing::removed)}) {
    if (name.starts_with(prefix) && without(name, prefix).starts_with("step-")) return standing;
  }
  return std::nullopt;
}

Listed inspect_generation(FileSystem& fs, const Path& generation) {
  Listed row{.name = generation.filename().string()};
  row.standing = standing_of(row.name).value_or(Standing::generation);
  const Path manifest = generation / manifest_name;
  try {
    if (!fs.exists(manifest)) {
      row.reason = std::string("no ") + manifest_name;
      row.saved_unix_seconds = modified_unix_seconds(generation);
    } else {
      row.saved_unix_seconds = modified_unix_seconds(manifest);
      row.manifest = read_manifest(fs, generation);
    }
  } catch (const Error& error) {
    row.reason = short_reason(error);
    row.newer = error.code() == errors::newer_version;
  }
  try {
    check_length(fs, generation, row);
  } catch (const Error& error) {
    row.reason = short_reason(error);
  }
  return row;
}

std::vector<Listed> inspect_folder(FileSystem& fs, const Path& folder) {
  std::vector<std::string> names = list_generations(fs, folder);
  const auto rest = names.size();
  for (const auto& name : fs.list(folder)) {
    const auto standing = standing_of(name);
    if (standing && *standing != Standing::generation) names.push_back(name);
  }
  std::stable_sort(names.begin() + static_cast<std::ptrdiff_t>(rest), names.end(),
                   [](const auto& a, const auto& b) { return *standing_of(a) < *standing_of(b); });
  const auto latest = latest_generation(fs, folder);
  std::vector<Listed> rows;
  for (const auto& name : names) {
    Listed row = inspect_generation(fs, folder / name);
    if (!fs.exists(folder / name)) continue;  // published, set aside or removed meanwhile
    row.latest = latest == name;
    rows.push_back(std::move(row));
  }
  return rows;
}

std::optional<std::string> latest_generation(FileSystem& fs, const Path& folder) {
  const Path path = folder / "LATEST";
  if (!fs.exists(path)) return std::nullopt;
  constexpr std::uint64_t longest = 4096;
  try {
    std::string name = read_text(fs, path, longest);
    while (!name.empty() && name.back() == '\n') name.pop_back();
    if (names_generation(name) && fs.is_directory(folder / name)) return name;
  } catch (const Error&) {
    // A note for people and scripts: whatever is wrong with it, no generation is worse for it.
  }
  return std::nullopt;
}

std::optional<std::string> fast_generation(FileSystem& fs, const Path& folder) {
  const auto record = read_fast_record(fs, folder);
  return record ? std::optional(record->name) : std::nullopt;
}

}  // namespace concordat::checkpoint
