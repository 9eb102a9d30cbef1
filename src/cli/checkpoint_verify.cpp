#include <algorithm>
#include <iostream>

#include "cli/checkpoint_commands.hpp"
#include "cli/checkpoint_place.hpp"
#include "concordat/checkpoint/errors.hpp"
#include "concordat/checkpoint/inspect.hpp"
#include "concordat/core/error.hpp"
#include "concordat/observe/progress.hpp"

namespace concordat::cli {
namespace {

using Path = std::filesystem::path;

enum class Verdict { good, damaged, gone, newer };

/// Reads every byte and says what came of it.
Verdict verify(const Path& generation) {
  FileSystem& fs = posix_files();
  const std::string name = generation.filename().string();
  std::optional<std::string> reason;
  try {
    reason = checkpoint::verify_generation(fs, generation);
  } catch (const Error& error) {
    if (error.code() != checkpoint::errors::newer_version) throw;
    std::cout << name << " NEWER: " << error.fields().what << " (" << error.fields().found << "); "
              << error.fields().remedy << std::endl;
    return Verdict::newer;
  }
  if (reason && !fs.exists(generation)) {
    std::cout << name << " is gone: the job removed it meanwhile" << std::endl;
    return Verdict::gone;
  }
  if (reason) {
    std::cout << name << " DAMAGED: " << *reason << std::endl;
    return Verdict::damaged;
  }
  const auto manifest = checkpoint::read_manifest(fs, generation);
  // Flushed: of large generations each line takes a while.
  std::cout << name << " ok: " << manifest.datasets.size() << " datasets, "
            << observe::short_bytes(manifest.file_bytes) << std::endl;
  return Verdict::good;
}

std::string refuses_at(const std::string& name) {
  return "a restart refuses: " + name +
         " was written by a newer version, and no older one is taken in its place\n";
}

/// What the nodes' own disks have cannot be looked at from here.
void tell_fast(const Path& folder) {
  const auto name = checkpoint::fast_generation(posix_files(), folder);
  if (!name || posix_files().exists(folder / *name)) return;
  std::cout << *name
            << " not read: FAST names it, on the disks of the nodes that wrote it; a restart there "
               "with checkpoint.fast takes it if it is whole and newer\n";
}

int exit_of(bool good) { return static_cast<int>(good ? ExitCode::done : ExitCode::data); }

int verify_one(const CheckpointPlace& place) {
  const Verdict verdict = verify(place.path());
  const bool good = verdict == Verdict::good;
  const auto names = checkpoint::list_generations(posix_files(), place.folder);
  const auto found = std::find(names.begin(), names.end(), place.generation);
  if (found == names.end()) {
    std::cout << "a restart never takes " << place.generation << ": it is "
              << (checkpoint::standing_of(place.generation)
                      ? name_of(*checkpoint::standing_of(place.generation))
                      : "no generation's name")
              << '\n';
  } else if (found != names.begin()) {
    std::cout << "there are newer ones; 'concordat checkpoint verify " << place.folder.string()
              << "' says which a restart takes\n";
  } else if (good) {
    std::cout << "a restart takes " << place.generation << '\n';
  } else if (verdict == Verdict::newer) {
    std::cout << refuses_at(place.generation);
  }
  tell_fast(place.folder);
  return exit_of(good);
}

int verify_all(const Path& folder) {
  bool all_good = true;
  std::string taken;
  std::string refused;
  for (const std::string& name : checkpoint::list_generations(posix_files(), folder)) {
    const Verdict verdict = verify(folder / name);
    if (verdict == Verdict::good && taken.empty() && refused.empty()) taken = name;
    if (verdict == Verdict::newer && taken.empty() && refused.empty()) refused = name;
    all_good = all_good && (verdict == Verdict::good || verdict == Verdict::gone);
  }
  for (const auto& row : checkpoint::inspect_folder(posix_files(), folder)) {
    if (row.standing == checkpoint::Standing::generation) continue;
    std::cout << row.name << " not read: " << name_of(row.standing) << ", never restored\n";
  }
  tell_fast(folder);
  if (!refused.empty()) {
    std::cout << refuses_at(refused);
  } else if (!taken.empty()) {
    std::cout << "a restart takes " << taken << '\n';
  } else if (all_good) {
    std::cout << "no generation: a restart begins at step 0\n";
  } else {
    std::cout << "no generation verifies: a restart refuses; restore the folder from a backup, or "
                 "start afresh in a new run folder\n";
  }
  return exit_of(all_good);
}

}  // namespace

int checkpoint_verify(const Args& args) {
  Flags flags("checkpoint verify", args, {});
  flags.expect_positional({"FOLDER"});
  const CheckpointPlace place = find_checkpoints(flags.positional()[0]);
  return place.generation.empty() ? verify_all(place.folder) : verify_one(place);
}

}  // namespace concordat::cli
