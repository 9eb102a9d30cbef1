// The one file that talks to HDF5: it lays out state.h5 and says where the bytes of each dataset
// go. The bytes themselves go through the file seam.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "concordat/core/file.hpp"
#include "concordat/core/tensor.hpp"

namespace concordat::checkpoint {

struct DatasetShape {
  std::string name;
  Shape shape;
  Dtype dtype = Dtype::f32;
};

struct FileLayout {
  std::vector<std::uint64_t> offsets;  ///< of the first byte, one a dataset
  std::uint64_t file_bytes = 0;
  bool operator==(const FileLayout&) const = default;
};

/// Creates the datasets contiguous, with early allocation and no fill, those of at least
/// `alignment` bytes at multiples of it, in an existing empty file (so that its mode is the
/// seam's), and closes it.
/// @throws Error(checkpoint.hdf5_failed).
FileLayout create_hdf5(const FileSystem::Path& path, const std::vector<DatasetShape>& datasets,
                       std::uint64_t alignment);

/// Name and version of the HDF5 library.
std::string hdf5_library();

}  // namespace concordat::checkpoint
