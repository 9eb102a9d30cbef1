#include "cli/checkpoint_place.hpp"

#include "concordat/checkpoint/inspect.hpp"
#include "concordat/core/error.hpp"
#include "concordat/core/file.hpp"

namespace concordat::cli {
namespace {

using Path = std::filesystem::path;

/// "a/b/" and "./a/b" as "a/b", so that the last part has the name.
Path tidy(const std::string& given) {
  Path path = Path(given).lexically_normal();
  if (!path.has_filename() && path.has_parent_path()) path = path.parent_path();
  if (path == "." || path == "..") path = std::filesystem::absolute(path).lexically_normal();
  if (!path.has_filename() && path.has_parent_path()) path = path.parent_path();
  return path;
}

bool holds_generations(FileSystem& fs, const Path& folder) {
  if (fs.exists(folder / "LATEST")) return true;
  for (const std::string& name : fs.list(folder)) {
    if (checkpoint::standing_of(name)) return true;
  }
  return false;
}

[[noreturn]] void refuse(const Path& path, std::string what, std::string found,
                         std::string remedy) {
  throw Error(errors::not_found,
              {.what = std::move(what),
               .where = path.string(),
               .found = std::move(found),
               .expected = "a run folder (SITE/runs/NAME), its checkpoints/, or a generation such "
                           "as checkpoints/step-000120",
               .remedy = std::move(remedy)});
}

[[noreturn]] void refuse_folder(FileSystem& fs, const Path& path) {
  if (fs.is_directory(path / "runs")) {
    std::string runs;
    for (const std::string& name : fs.list(path / "runs")) {
      runs += (runs.empty() ? "" : " or ") + (path / "runs" / name).string();
    }
    refuse(path, "this is a site's folder, not a run's", "runs/ in it",
           runs.empty() ? "train first" : "give " + runs);
  }
  if (fs.exists(path / "coordinator.lock") || fs.is_directory(path / "exchanges")) {
    refuse(path, "a coordinator has no checkpoints", "a coordinator's folder",
           "give a run folder of a site");
  }
  refuse(path, "no checkpoints lie here", "neither checkpoints/ nor step-... in it",
         "check the path; 'concordat checkpoint --help'");
}

}  // namespace

CheckpointPlace find_checkpoints(const std::string& given) {
  FileSystem& fs = posix_files();
  const Path path = tidy(given);
  if (!fs.exists(path)) refuse(path, "the folder is not there", "nothing", "check the path");
  if (!fs.is_directory(path)) {
    refuse(path, "this is a file", "a file", "give the folder that it lies in");
  }
  if (fs.is_directory(path / "checkpoints")) return {path / "checkpoints", ""};
  // A generation may have been copied elsewhere, under any name.
  const bool named = checkpoint::standing_of(path.filename().string()).has_value();
  if (named || fs.exists(path / "manifest.json")) {
    return {path.parent_path(), path.filename().string()};
  }
  if (path.filename() == "checkpoints" || holds_generations(fs, path)) return {path, ""};
  refuse_folder(fs, path);
}

CheckpointPlace find_generation(const std::string& given) {
  CheckpointPlace place = find_checkpoints(given);
  if (!place.generation.empty()) return place;
  const auto names = checkpoint::list_generations(posix_files(), place.folder);
  throw Error(errors::usage,
              {.what = "one generation is wanted, and a whole run was given",
               .where = given,
               .found = std::to_string(names.size()) + " generations",
               .expected = "the folder of one of them",
               .remedy = names.empty() ? "train first"
                                       : "for example " + (place.folder / names.front()).string()});
}

}  // namespace concordat::cli
