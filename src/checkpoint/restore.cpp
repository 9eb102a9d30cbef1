#include <algorithm>
#include <map>
#include <optional>

#include "checkpoint/extents.hpp"
#include "checkpoint/fast_tier.hpp"
#include "checkpoint/generations.hpp"
#include "checkpoint/load.hpp"
#include "checkpoint/manifest.hpp"
#include "checkpoint/named_tensor.hpp"
#include "concordat/comm/agree.hpp"
#include "concordat/crypto/hash.hpp"

namespace concordat::checkpoint {

namespace {

/// What is wrong with a generation; empty if nothing.
using Reason = std::string;

constexpr const char* damaged_remedy =
    "an older generation is used if there is one; restore this one from a copy";

struct Candidate {
  Path folder;
  std::optional<Digest> expected{};  ///< of manifest.json: in the fast tier
  std::string text{};                ///< of manifest.json
  Manifest manifest{};
};

/// Collective: rank 0 reads the manifest and checks what is outside the datasets.
/// @throws Error(checkpoint.newer_version), agreed.
Reason open_candidate(comm::Communicator& comm, FileSystem& fs, Candidate& candidate) {
  Reason reason;
  comm::agreed(comm, [&] {
    if (comm.rank() != 0) return;
    reason = reason_of([&] {
      const Path path = candidate.folder / manifest_name;
      if (!fs.exists(path)) {
        throw Error(concordat::errors::not_found,
                    {.what = "a generation without its manifest, which is written last",
                     .where = candidate.folder.string(),
                     .found = "no manifest.json",
                     .expected = "manifest.json",
                     .remedy = damaged_remedy});
      }
      candidate.text = read_text(fs, path);
      const Digest digest = crypto::sha256(as_bytes(candidate.text));
      if (candidate.expected && digest != *candidate.expected) {
        throw Error(concordat::errors::malformed,
                    {.what = "a generation of another course of the run",
                     .where = path.string(),
                     .found = "digest " + digest.hex(),
                     .expected = "digest " + candidate.expected->hex() + " as FAST has it",
                     .remedy = "an older generation is used if there is one"});
      }
      const auto manifest = decode_manifest(candidate.text, path.string());
      const Path state = candidate.folder / state_name;
      if (const auto found = fs.file_size(state); found != manifest.file_bytes) {
        throw Error(concordat::errors::malformed,
                    {.what = "a file has the wrong length",
                     .where = state.string(),
                     .found = std::to_string(found) + " bytes",
                     .expected = std::to_string(manifest.file_bytes) + " bytes",
                     .remedy = damaged_remedy});
      }
      const Digest structure = structure_digest(*fs.open(state, OpenMode::read), manifest);
      if (structure != manifest.structure) {
        throw Error(concordat::errors::malformed,
                    {.what = "bytes between the datasets were altered",
                     .where = state.string(),
                     .found = "digest " + structure.hex(),
                     .expected = "digest " + manifest.structure.hex() + " of the manifest",
                     .remedy = damaged_remedy});
      }
    });
  });
  reason = agree_on_reason(comm, reason);
  if (!reason.empty()) return reason;
  Bytes text(candidate.text.begin(), candidate.text.end());
  comm.broadcast_bytes(text, 0);
  candidate.text = to_string(text);
  candidate.manifest = decode_manifest(candidate.text, candidate.folder.string());
  return {};
}

[[noreturn]] void throw_mismatch(const std::string& where, const std::string& what,
                                 const std::string& found, const std::string& expected) {
  throw Error(errors::mismatch,
              {.what = what,
               .where = where,
               .found = found,
               .expected = expected,
               .remedy = "restore with the configuration it was saved with (in its manifest)"});
}

/// The dataset of each tensor. Pure, so every rank refuses alike.
std::vector<const Manifest::Dataset*> match(const Candidate& candidate,
                                            const std::vector<NamedTensor>& tensors, bool subset) {
  const std::string where = candidate.folder.string();
  std::map<std::string, const Manifest::Dataset*> by_name;
  for (const auto& dataset : candidate.manifest.datasets) by_name[dataset.name] = &dataset;
  std::vector<const Manifest::Dataset*> matched;
  for (const auto& tensor : tensors) {
    auto found = by_name.find(tensor.name);
    if (found == by_name.end()) {
      throw_mismatch(where, "a tensor is missing", "no " + tensor.name, tensor.name);
    }
    const auto& dataset = *found->second;
    if (dataset.shape != tensor.shape || dataset.dtype != tensor.dtype) {
      throw_mismatch(where + ":" + tensor.name, "a tensor has another shape or type",
                     std::string(name_of(dataset.dtype)) + " " + to_string(dataset.shape),
                     std::string(name_of(tensor.dtype)) + " " + to_string(tensor.shape));
    }
    matched.push_back(&dataset);
    by_name.erase(found);
  }
  if (!subset && !by_name.empty()) {
    throw_mismatch(where, "a tensor of the checkpoint would be dropped", by_name.begin()->first,
                   std::to_string(tensors.size()) + " tensors");
  }
  return matched;
}

/// Collective: loads a candidate and compares what was read with what was promised, and what
/// arrived with what was read; a reason says why it is passed over.
/// @throws Error(checkpoint.digest_mismatch) where the file is right and what arrived is not.
Reason load_proved(comm::Communicator& comm, FileSystem& fs, const Candidate& candidate,
                   OpenMode mode, const std::vector<NamedTensor>& tensors,
                   const std::vector<const Manifest::Dataset*>& datasets) {
  const Loaded loaded = load(comm, fs, candidate.folder / state_name, mode, tensors, datasets);
  if (!loaded.reason.empty()) return loaded.reason;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (auto damage = damage_of(*datasets[i], loaded.roots[i]); !damage.empty()) return damage;
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (loaded.strays[i] == 0) continue;
    throw Error(errors::digest_mismatch,
                {.what = "a restored tensor differs from the saved one",
                 .where = candidate.folder.string() + ":" + tensors[i].name,
                 .found = "a placement sum that is off by " + std::to_string(loaded.strays[i]),
                 .expected = "every element where it belongs, as it was read",
                 .remedy = "do not train on; report this with the layout of both runs"});
  }
  return {};
}

/// Collective: where to look, newest first.
std::vector<Candidate> candidates_in(comm::Communicator& comm, FileSystem& fs, const Path& folder,
                                     const RestoreOptions& options) {
  if (!options.only.empty()) return {{.folder = folder / options.only}};
  Bytes bytes;
  comm::agreed(comm, [&] {
    if (comm.rank() != 0) return;
    ByteWriter out;
    std::optional<FastRecord> fast;
    if (!options.fast.folder.empty()) fast = read_fast_record(fs, folder);
    out.sized(fast ? fast->name : "");
    out.digest(fast ? fast->manifest : Digest{});
    for (const auto& name : list_generations(fs, folder)) out.sized(name);
    bytes = out.bytes();
  });
  comm.broadcast_bytes(bytes, 0);
  ByteReader in(bytes, "generations");
  const std::string fast_name = in.sized_string(4096);
  const Digest fast_manifest = in.digest();
  std::vector<Candidate> all;
  while (in.left() > 0) all.push_back({.folder = folder / in.sized_string(4096)});
  if (fast_name.empty()) return all;
  const auto older = std::find_if(all.begin(), all.end(), [&](const Candidate& candidate) {
    return parse_generation(candidate.folder.filename().string()) <= parse_generation(fast_name);
  });
  // What has reached the folder is read there.
  if (older != all.end() && older->folder.filename() == fast_name) return all;
  all.insert(older, {.folder = options.fast.folder / fast_name, .expected = fast_manifest});
  return all;
}

}  // namespace

std::optional<Restored> restore_newest(comm::Communicator& comm, FileSystem& fs, const Path& folder,
                                       const std::vector<NamedTensor>& tensors,
                                       const RestoreOptions& options) {
  check_same_list(comm, tensors);
  std::vector<Skipped> skipped;
  std::size_t num_slow = 0;
  bool mixed = false;  // the tensors hold parts of something
  for (Candidate& candidate : candidates_in(comm, fs, folder, options)) {
    const std::string name = candidate.folder.filename().string();
    const bool fast = candidate.expected.has_value();
    if (!fast) ++num_slow;
    Reason reason = open_candidate(comm, fs, candidate);
    if (reason.empty()) {
      const auto datasets = match(candidate, tensors, options.subset);
      // Datasets that nobody asked for verify as well. And behind a fast generation there may be
      // nothing but a fresh start, for which the tensors have to stay as they are.
      const bool twice = options.subset || fast;
      const OpenMode mode = twice ? OpenMode::read : OpenMode::read_direct;
      if (twice) {
        reason = verify_datasets(comm, fs, candidate.folder / state_name, mode,
                                 candidate.manifest.datasets);
      }
      if (reason.empty()) {
        reason = load_proved(comm, fs, candidate, mode, tensors, datasets);
        mixed = !reason.empty();
      }
    }
    if (!reason.empty()) {
      skipped.push_back({fast ? name + " in the fast tier" : name, reason});
      continue;
    }
    if (options.skipped != nullptr) *options.skipped = skipped;
    return Restored{.name = name,
                    .fast = fast,
                    .manifest = crypto::sha256(as_bytes(candidate.text)),
                    .position = candidate.manifest.position,
                    .metadata = candidate.manifest.metadata,
                    .skipped = std::move(skipped)};
  }
  if (options.skipped != nullptr) *options.skipped = skipped;
  // What stood in the fast tier alone was promised to nobody.
  if (num_slow == 0 && !mixed) return std::nullopt;
  std::string reasons;
  for (const auto& [name, reason] : skipped) {
    // The remedy for all of them stands below.
    reasons += "\n  " + name + ": " + reason.substr(0, reason.find("; remedy: "));
  }
  if (!reasons.empty()) reasons += "\n ";
  throw Error(
      errors::none_verifies,
      {.what = "no checkpoint verifies",
       .where = folder.string(),
       .found = reasons,
       .expected = "one generation with the bytes that its manifest promises",
       .remedy =
           "restore the folder from a backup, or move it away: a site with a federation.donor "
           "then gets that one's state, and a run alone begins afresh"});
}

std::optional<std::string> verify_generation(FileSystem& fs, const Path& generation) {
  const auto self = comm::self_communicator();
  Candidate candidate{.folder = generation};
  Reason reason;
  try {
    reason = open_candidate(*self, fs, candidate);
  } catch (const Error& error) {
    if (error.code() == errors::newer_version) throw;
    return error.what();
  }
  if (reason.empty()) {
    reason = verify_datasets(*self, fs, generation / state_name, OpenMode::read_direct,
                             candidate.manifest.datasets);
  }
  if (reason.empty()) return std::nullopt;
  return reason;
}

}  // namespace concordat::checkpoint
