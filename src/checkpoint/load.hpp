// Loading: the bytes of a generation into the ranks' tensors, and the proof that they arrived.
#pragma once

#include <string>
#include <vector>

#include "concordat/checkpoint/checkpoint.hpp"

namespace concordat::checkpoint {

/// What came of it, the same on all ranks.
struct Loaded {
  std::string reason{};         ///< why the file could not be read; empty: it could
  std::vector<Digest> roots{};  ///< of each tensor, as it came from the file
  /// By how much the owners' placement sum of each tensor differs from the readers'.
  std::vector<std::uint64_t> strays{};
};

/// Collective: every rank reads and hashes its parts, and sends them to the holders of the tensors.
/// `datasets` are those of the tensors. Memory: up to nine batches' parts. After a reason the
/// tensors hold a mixture.
Loaded load(comm::Communicator& comm, FileSystem& fs, const Path& state, OpenMode mode,
            const std::vector<NamedTensor>& tensors,
            const std::vector<const Manifest::Dataset*>& datasets);

/// Collective: every byte of every dataset against the roots of the manifest; what is wrong with
/// it, or nothing.
std::string verify_datasets(comm::Communicator& comm, FileSystem& fs, const Path& state,
                            OpenMode mode, const std::vector<Manifest::Dataset>& datasets);
/// Why a dataset is not what its manifest says. Pure.
std::string damage_of(const Manifest::Dataset& dataset, const Digest& root);

/// Collective: the first reason in rank order, on all ranks; empty if there is none.
std::string agree_on_reason(comm::Communicator& comm, const std::string& mine);

/// What an Error says, or nothing.
template <typename Work>
std::string reason_of(Work&& work) {
  try {
    work();
    return {};
  } catch (const Error& error) {
    if (error.code() == errors::newer_version) throw;  // a reason to stop, not to pass over
    const std::string text = error.what();
    return text.empty() ? "unknown" : text;
  }
}

}  // namespace concordat::checkpoint
