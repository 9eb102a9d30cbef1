// A draft: the generation that is being written, under a name that no restore looks at.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/hdf5_layout.hpp"
#include "concordat/checkpoint/checkpoint.hpp"

namespace concordat::checkpoint {

/// What rank 0 decides before anybody writes.
struct Draft {
  std::string name;  ///< that it will have
  Path folder;       ///< `.new-NAME`
  FileLayout layout;
};

Path draft_folder(const Path& folder, const std::string& name);

/// Makes the folder, sweeps what crashes left and looks for space. Not collective.
/// @throws Error(disk_full).
void make_room(FileSystem& fs, const Path& folder, const std::vector<DatasetShape>& datasets,
               std::uint64_t alignment);
/// Makes room and lays the file out. Not collective.
/// @throws Error(disk_full) before anything is written when the space does not suffice.
Draft prepare(FileSystem& fs, const Path& folder, const std::string& name,
              const std::vector<DatasetShape>& datasets, std::uint64_t alignment);
/// Collective: rank 0's layout, on all ranks.
void share(comm::Communicator& comm, FileLayout& layout);

/// When every extent is durable: the manifest, with what the file itself tells. Not collective.
std::string complete_manifest(FileSystem& fs, const Draft& draft, Manifest manifest);
/// Durable when it returns.
void write_manifest(FileSystem& fs, const Draft& draft, const std::string& text);
/// Rank 0: the generation gets its name, and older ones go. Fills in what was set aside.
void give_name(FileSystem& fs, const Path& folder, const Draft& draft, Saved& saved,
               const SaveOptions& options);
/// Collective: what rank 0 saved, on all ranks.
void share(comm::Communicator& comm, Saved& saved);

}  // namespace concordat::checkpoint
