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

/// Rank 0: sweeps what crashes left, looks for space, and lays out the file with the options'
/// alignment. Not collective.
/// @throws Error(disk_full) before anything is written when the space does not suffice.
Draft prepare(FileSystem& fs, const Path& folder, std::uint64_t step,
              const std::vector<DatasetShape>& datasets, std::uint64_t alignment);
/// Collective: rank 0's draft, on all ranks.
void share(comm::Communicator& comm, Draft& draft);

/// Rank 0, when every extent is durable: the manifest, durable as well. Not collective.
Saved write_manifest(FileSystem& fs, const Draft& draft, Manifest manifest);
/// Rank 0: the generation gets its name, and older ones go. Fills in what was set aside.
void give_name(FileSystem& fs, const Path& folder, const Draft& draft, Saved& saved,
               const SaveOptions& options);
/// Collective: what rank 0 saved, on all ranks.
void share(comm::Communicator& comm, Saved& saved);

}  // namespace concordat::checkpoint
