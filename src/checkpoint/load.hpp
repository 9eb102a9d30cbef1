// Loading: the bytes of a generation into the ranks' tensors, and the proof that they arrived.
#pragma once

#include <string>
#include <vector>

#include "concordat/checkpoint/checkpoint.hpp"

namespace concordat::checkpoint {

/// What came of it, the same on all ranks.
struct Loaded {
  std::string reason{};         ///< why the file could not be read; empty: it could
  std::vector<Digest> roots{};  ///< of each tensor, gathered back from its owners
};

/// Collective: file -> parts -> local tensors -> parts, which are hashed. A thread reads the next
/// batch and others hash the last one while this one is moved. A rank that is alone reads to where
/// the tensors lie and hashes them there. `datasets` are those of the tensors. Memory: four
/// batches' parts. After a reason the tensors hold a mixture.
Loaded load(comm::Communicator& comm, FileSystem& fs, const Path& state,
            const std::vector<NamedTensor>& tensors,
            const std::vector<const Manifest::Dataset*>& datasets);

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
