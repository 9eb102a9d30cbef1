// The fast tier: node-local folders that a generation reaches before the run folder.
//
// Each node holds the whole file laid out and the extents of its own ranks. A generation there
// counts only while the file `FAST` of the slow folder names it with the digest of its manifest, so
// what an older course of the run left on some node is never taken for this one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "checkpoint/draft.hpp"
#include "concordat/checkpoint/checkpoint.hpp"

namespace concordat::checkpoint {

/// Whether this rank is the lowest of its node. Collective.
bool leads_node(comm::Communicator& comm, const std::string& node);

struct FastRecord {
  std::string name;
  Digest manifest;
};
/// nullopt if there is none or it cannot be read: the slow folder holds what counts then.
std::optional<FastRecord> read_fast_record(FileSystem& fs, const Path& slow_folder);
void write_fast_record(FileSystem& fs, const Path& slow_folder, const FastRecord& record);
/// For a run that goes on without a fast tier: what some node still has is of another course from
/// now on. Durable when it returns.
void remove_fast_record(FileSystem& fs, const Path& slow_folder);

/// A leader: the draft gets its name.
void give_fast_name(FileSystem& fs, const Path& folder, const Draft& draft);
/// A leader: every other generation of the folder goes.
void keep_only(FileSystem& fs, const Path& folder, const std::string& keep);

}  // namespace concordat::checkpoint
