// Whether HDF5 works in a folder: laid out by the library, written through the file seam, opened
// and read by the library again, its file locks included. What a save and a reader do, in small.
//
//   probe_hdf5(posix_files(), run / "probe");      // throws what does not work
//
// Threads: no other use of HDF5 in this process at the same time.
#pragma once

#include <string>

#include "concordat/core/file.hpp"

namespace concordat::checkpoint {

/// Version of the HDF5 library that is loaded, and of the headers that this program was built with.
struct Hdf5Library {
  std::string loaded;
  std::string built_with;
};
Hdf5Library hdf5_versions();

/// Makes `folder`/probe.h5, reads it back and removes it. @pre `folder` is there and the name free.
/// @throws Error(checkpoint.hdf5_failed) naming the step, and errors of the seam.
void probe_hdf5(FileSystem& fs, const FileSystem::Path& folder);

}  // namespace concordat::checkpoint
