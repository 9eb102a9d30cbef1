#include "concordat/checkpoint/hdf5_probe.hpp"

#include <hdf5.h>

#include <numeric>

#include "checkpoint/hdf5_layout.hpp"
#include "concordat/checkpoint/errors.hpp"
#include "concordat/core/unique_handle.hpp"

namespace concordat::checkpoint {
namespace {

constexpr std::size_t num_values = 4096;
constexpr std::uint64_t alignment = 4096;

template <herr_t (*Close)(hid_t)>
struct ProbeTraits {
  using Handle = hid_t;
  static constexpr Handle empty() { return -1; }
  static void destroy(Handle handle) noexcept { Close(handle); }
};

[[noreturn]] void fail(const char* what, const std::string& where, std::string found) {
  throw Error(errors::hdf5_failed,
              {.what = what,
               .where = where,
               .found = std::move(found),
               .expected = "the values that were written",
               .remedy = "check the folder's file system, its locks and its quota"});
}

/// As a tool would: the library opens the file, which takes its lock, and reads the dataset.
std::vector<float> read_by_library(const std::string& path) {
  UniqueHandle<ProbeTraits<H5Fclose>> file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT));
  if (!file) fail("HDF5 cannot open a file that it made", path, "H5Fopen failed");
  UniqueHandle<ProbeTraits<H5Dclose>> values(H5Dopen2(file.get(), "values", H5P_DEFAULT));
  std::vector<float> read(num_values);
  if (!values ||
      H5Dread(values.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, read.data()) < 0) {
    fail("HDF5 cannot read a dataset that it made", path, "H5Dread failed");
  }
  return read;
}

}  // namespace

Hdf5Library hdf5_versions() {
  return {.loaded = hdf5_library(),
          .built_with = "HDF5 " + std::to_string(H5_VERS_MAJOR) + "." +
                        std::to_string(H5_VERS_MINOR) + "." + std::to_string(H5_VERS_RELEASE)};
}

void probe_hdf5(FileSystem& fs, const FileSystem::Path& folder) {
  const FileSystem::Path path = folder / "probe.h5";
  fs.open(path, OpenMode::create_exclusive)->sync();
  const DatasetShape shape{.name = "values", .shape = {static_cast<std::int64_t>(num_values)}};
  const FileLayout layout = create_hdf5(path, {shape}, alignment);
  std::vector<float> values(num_values);
  std::iota(values.begin(), values.end(), 1.0F);
  {
    auto file = fs.open(path, OpenMode::read_write);
    file->write_at(layout.offsets.at(0),
                   {reinterpret_cast<const std::uint8_t*>(values.data()), num_values * 4});
    file->sync();
  }
  if (read_by_library(path.string()) != values) {
    fail("HDF5 reads other values than were written", path.string(), "other values");
  }
  fs.remove(path);
}

}  // namespace concordat::checkpoint
