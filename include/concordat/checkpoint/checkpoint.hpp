// Checkpoint generations: durable, verified, readable by any HDF5 tool, restorable in any layout.
//
//   std::vector<NamedTensor> state = trainer.named_state();       // every rank: its local parts
//   auto saved = save_generation(comm, fs, run / "checkpoints", {.step = 120, .round = 3},
//                                state, {{"data.cursor", "61440"}});
//   auto restored = restore_newest(comm, fs, run / "checkpoints", state);   // fills the tensors
//   if (!restored) start_afresh();
//
// A generation is a directory `step-000120/` with `state.h5` (one contiguous dataset a logical
// tensor) and `manifest.json`, written last; `LATEST` names the newest. See
// docs/formats/checkpoint.md. All functions with a Communicator are collective over it, leave no
// rank behind (errors are agreed) and end on all ranks with the same Error.
//
// Exchange secrets never belong here. A generation holds a site's own weights in clear: put the
// folder on encrypted storage.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "concordat/checkpoint/errors.hpp"
#include "concordat/comm/communicator.hpp"
#include "concordat/core/file.hpp"
#include "concordat/core/tensor.hpp"
#include "concordat/parallel/canonical_space.hpp"

namespace concordat::checkpoint {

using Path = FileSystem::Path;
using Metadata = std::map<std::string, std::string>;

/// The files of a generation.
inline constexpr const char* manifest_name = "manifest.json";
inline constexpr const char* state_name = "state.h5";

/// One logical tensor and this rank's part of it. The list is the same on all ranks: names,
/// shapes and dtypes in the same order; a rank that holds nothing of a tensor leaves `local` empty.
struct NamedTensor {
  std::string name{};  ///< "weights/model.norm.weight"; slashes make HDF5 groups
  Shape shape{};       ///< global; {} for a scalar
  Dtype dtype = Dtype::f32;
  Tensor local{};  ///< contiguous host tensor, shared with the owner: restore writes into it
  /// In the tensor's own canonical space (element 0 is its first), local indices into `local`.
  std::vector<parallel::Segment> held{};
  std::vector<parallel::Segment> owned{};  ///< the part of `held` that this rank contributes
};

/// A tensor of a model from its spec, with the segments of this rank.
NamedTensor named_tensor(std::string name, const parallel::ParameterSpec& spec, Dtype dtype,
                         Tensor local, const parallel::MeshShape& mesh,
                         const parallel::MeshCoords& coords);
/// A flat vector of num_elements of which this rank holds a slice.
NamedTensor named_slice(std::string name, std::int64_t num_elements, Dtype dtype, Tensor local,
                        const parallel::Slice& slice);

/// What every manifest states. Strings are free text that restore returns as it was.
struct Position {
  std::uint64_t step = 0;
  std::uint64_t round = 0;
};

struct Saved {
  std::string name{};       ///< "step-000120", or "step-000120.1" if that existed
  Digest manifest{};        ///< SHA-256 of manifest.json
  std::uint64_t bytes = 0;  ///< of state.h5
  /// Of the slowest rank's thread for the data, and rank 0's for the rest; of both tiers together.
  double write_seconds = 0.0;
  /// Newer generations of an abandoned course (the run went on from an older one), renamed to
  /// `set-aside-NAME` so that no restore takes them; say so to the user.
  std::vector<std::string> set_aside{};
};

struct SaveOptions {
  int keep = 2;  ///< newest generations that stay; older ones are removed
  /// Above 0: the first generation at or after each multiple of so many steps stays as well.
  std::uint64_t keep_every = 0;
  /// Datasets of at least so many bytes begin at a multiple of it. A power of two.
  std::uint64_t alignment = 4096;
  std::vector<std::string> pins{};  ///< generations that stay whatever their age
  /// Called on rank 0 when every byte is durable and before the generation gets its name: for what
  /// has to stand before the act, such as its ledger entry. If it throws, nothing is published.
  std::function<void(const Saved&)> before_publish{};
};

/// Writes a generation and returns when it is durable: a Saver (saver.hpp) that begins and
/// finishes. `metadata` (rank 0's counts) should hold layout, instruction set, threads, RNG keys,
/// data cursor, loss scale, the effective configuration and the state digest; see the keys below.
/// @throws Error(disk_full) before anything is written when the space does not suffice.
Saved save_generation(comm::Communicator& comm, FileSystem& fs, const Path& folder,
                      const Position& position, const std::vector<NamedTensor>& tensors,
                      const Metadata& metadata, const SaveOptions& options = {});

/// Keys of metadata that status and audit read.
namespace keys {
inline constexpr std::string_view layout = "layout";
inline constexpr std::string_view reproducible = "reproducible";
inline constexpr std::string_view instruction_set = "instruction_set";
inline constexpr std::string_view threads_per_rank = "threads_per_rank";
inline constexpr std::string_view data_cursor = "data.cursor";
inline constexpr std::string_view rng_seed = "rng.seed";
inline constexpr std::string_view precision = "precision";
inline constexpr std::string_view loss_scale = "loss_scale";
inline constexpr std::string_view loss_scale_good_steps = "loss_scale.good_steps";
inline constexpr std::string_view skipped_steps = "skipped_steps";
inline constexpr std::string_view state_digest = "state_digest";
inline constexpr std::string_view effective_config = "effective_config";
}  // namespace keys

/// A generation that was passed over, and why.
struct Skipped {
  std::string name{};
  std::string reason{};
};

struct Restored {
  std::string name{};
  bool fast = false;  ///< from the fast tier: the folder itself lacks it
  Digest manifest{};
  Position position{};
  Metadata metadata{};
  std::vector<Skipped> skipped{};  ///< newer generations that did not verify; say so to the user
};

/// Folders on the nodes themselves that generations reach first (saver.hpp).
struct FastTier {
  Path folder{};  ///< of this rank's node, for this run alone; empty: none. On all ranks or none
  std::string node{};  ///< the same text on the ranks that share the folder
};

struct RestoreOptions {
  /// Restore this one only; empty: the newest that verifies.
  std::string only{};
  /// The program asks for a part of the generation on purpose (weights to generate from).
  bool subset = false;
  /// Looked at as well: a generation there that is newer is taken where every rank finds its part,
  /// which is so with the ranks and nodes that wrote it.
  FastTier fast{};
  /// Gets what was passed over, also where nothing is restored in the end.
  std::vector<Skipped>* skipped = nullptr;
};

/// Fills the tensors from the newest generation whose every byte verifies, in whatever layout the
/// ranks have now, then refuses if what the owners hold is not what was read (a sum over values and
/// places). Where it throws, the tensors hold a mixture.
/// Returns nullopt, and leaves the tensors as they are, if there is no generation at all.
/// @throws Error(checkpoint.none_verifies | mismatch | newer_version | digest_mismatch).
std::optional<Restored> restore_newest(comm::Communicator& comm, FileSystem& fs, const Path& folder,
                                       const std::vector<NamedTensor>& tensors,
                                       const RestoreOptions& options = {});

/// A manifest alone, for status, audit and decisions before a restore. Not collective.
struct Manifest {
  struct Dataset {
    std::string name{};
    Shape shape;
    Dtype dtype = Dtype::f32;
    std::uint64_t offset = 0;  ///< of its first byte in state.h5
    Digest root;               ///< Merkle root over its blocks
  };
  Position position{};
  Metadata metadata{};
  std::vector<Dataset> datasets{};
  std::uint64_t file_bytes = 0;
  Digest structure{};  ///< SHA-256 of the bytes of state.h5 outside the datasets
};

/// Names of generations, newest first; not opened.
std::vector<std::string> list_generations(FileSystem& fs, const Path& folder);
/// @throws Error(not_found | malformed | checkpoint.newer_version).
Manifest read_manifest(FileSystem& fs, const Path& generation);
/// Reads every byte; nullopt if all is as the manifest says, else the reason. Not collective.
/// @throws Error(checkpoint.newer_version), where a restart refuses instead of passing it over.
std::optional<std::string> verify_generation(FileSystem& fs, const Path& generation);

}  // namespace concordat::checkpoint
