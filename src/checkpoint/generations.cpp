#include "checkpoint/generations.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>

#include "checkpoint/manifest.hpp"

namespace concordat::checkpoint {

namespace {

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto* end = text.data() + text.size();
  const auto [at, code] = std::from_chars(text.data(), end, value);
  if (text.empty() || code != std::errc{} || at != end) return std::nullopt;
  return value;
}

}  // namespace

std::optional<GenerationKey> parse_generation(std::string_view name) {
  constexpr std::string_view prefix = "step-";
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  const auto dot = name.find('.');
  const auto step = parse_number(name.substr(0, dot));
  if (!step) return std::nullopt;
  if (dot == std::string_view::npos) return GenerationKey{*step, 0};
  const auto repeat = parse_number(name.substr(dot + 1));
  if (!repeat) return std::nullopt;
  return GenerationKey{*step, *repeat};
}

std::string generation_name(const GenerationKey& key) {
  char text[64];
  std::snprintf(text, sizeof text, "step-%06llu", static_cast<unsigned long long>(key.first));
  return key.second == 0 ? text : text + ("." + std::to_string(key.second));
}

bool names_generation(std::string_view name) {
  const auto key = parse_generation(name);
  return key && generation_name(*key) == name;
}

std::vector<std::string> list_generations(FileSystem& fs, const Path& folder) {
  std::vector<GenerationKey> found;
  for (const auto& name : fs.list(folder)) {
    if (names_generation(name)) found.push_back(*parse_generation(name));
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<std::string> names;
  for (const auto& key : found) names.push_back(generation_name(key));
  return names;
}

std::string next_name(FileSystem& fs, const std::vector<Path>& folders, std::uint64_t step) {
  // Behind all others of the step, so that it is the newest of them.
  std::uint64_t repeat = 0;
  for (const Path& folder : folders) {
    for (const auto& name : list_generations(fs, folder)) {
      const auto key = parse_generation(name);
      if (key->first == step) repeat = std::max(repeat, key->second + 1);
    }
  }
  return generation_name({step, repeat});
}

void sweep(FileSystem& fs, const Path& folder) {
  for (const auto& name : fs.list(folder)) {
    if (name.starts_with(unfinished_prefix) || name.starts_with(removed_prefix)) {
      fs.remove_all(folder / name);
    }
  }
}

std::vector<std::string> set_newer_aside(FileSystem& fs, const Path& folder,
                                         const std::string& name) {
  const auto mine = parse_generation(name);
  std::vector<std::string> moved;
  for (const auto& other : list_generations(fs, folder)) {
    if (parse_generation(other) <= mine) continue;
    Path target = folder / (std::string(set_aside_prefix) + other);
    for (int i = 1; fs.exists(target); ++i) {
      target = folder / (std::string(set_aside_prefix) + other + "-" + std::to_string(i));
    }
    fs.rename(folder / other, target);
    moved.push_back(other);
  }
  if (!moved.empty()) fs.sync_directory(folder);
  return moved;
}

std::vector<std::string> kept_every(const std::vector<std::string>& names, std::uint64_t every) {
  // The first at or after a multiple is the first between it and the next one, if there is any;
  // else it is the first behind a later multiple, and that one finds it.
  std::map<std::uint64_t, GenerationKey> first;
  for (const auto& name : names) {
    const auto key = parse_generation(name);
    if (!key || key->first < every) continue;
    const auto [entry, fresh] = first.insert({key->first / every, *key});
    if (!fresh) entry->second = std::min(entry->second, *key);
  }
  std::vector<std::string> kept;
  for (const auto& [multiple, key] : first) kept.push_back(generation_name(key));
  return kept;
}

void remove_generation(FileSystem& fs, const Path& folder, const std::string& name) {
  const Path doomed = folder / (std::string(removed_prefix) + name);
  fs.rename(folder / name, doomed);
  fs.remove_all(doomed);
}

void remove_old(FileSystem& fs, const Path& folder, const SaveOptions& options) {
  const auto names = list_generations(fs, folder);
  const auto keep = static_cast<std::size_t>(std::max(1, options.keep));
  std::vector<std::string> stay = options.pins;
  if (options.keep_every > 0) {
    for (auto& name : kept_every(names, options.keep_every)) stay.push_back(std::move(name));
  }
  for (std::size_t i = keep; i < names.size(); ++i) {
    if (std::find(stay.begin(), stay.end(), names[i]) != stay.end()) continue;
    remove_generation(fs, folder, names[i]);
  }
}

Manifest read_manifest(FileSystem& fs, const Path& generation) {
  const Path path = generation / manifest_name;
  return decode_manifest(read_text(fs, path), path.string());
}

}  // namespace concordat::checkpoint
