#include "checkpoint/hdf5_layout.hpp"

#include <hdf5.h>

#include <mutex>

#include "concordat/checkpoint/errors.hpp"
#include "concordat/core/unique_handle.hpp"

namespace concordat::checkpoint {

namespace {

template <herr_t (*Close)(hid_t)>
struct Hdf5Traits {
  using Handle = hid_t;
  static constexpr Handle empty() { return -1; }
  static void destroy(Handle handle) noexcept { Close(handle); }
};
using FileHandle = UniqueHandle<Hdf5Traits<H5Fclose>>;
using PropertyHandle = UniqueHandle<Hdf5Traits<H5Pclose>>;
using SpaceHandle = UniqueHandle<Hdf5Traits<H5Sclose>>;
using TypeHandle = UniqueHandle<Hdf5Traits<H5Tclose>>;
using DatasetHandle = UniqueHandle<Hdf5Traits<H5Dclose>>;
using AttributeHandle = UniqueHandle<Hdf5Traits<H5Aclose>>;

/// The library is not thread-safe, and `threads` ranks of one process may each save.
std::mutex& library_mutex() {
  static auto& mutex = *new std::mutex;
  return mutex;
}

[[noreturn]] void throw_failed(const char* function, const std::string& where) {
  throw Error(errors::hdf5_failed, {.what = "HDF5 could not lay out the file",
                                    .where = where,
                                    .found = std::string(function) + " failed",
                                    .remedy = "check the folder's file system and its quota"});
}

template <typename Handle>
Handle checked(hid_t handle, const char* function, const std::string& where) {
  if (handle < 0) throw_failed(function, where);
  return Handle(handle);
}

void require(herr_t status, const char* function, const std::string& where) {
  if (status < 0) throw_failed(function, where);
}

/// Little-endian on disk. bf16 and f16 are stored as their 16 bits; the attribute `dtype` tells.
hid_t file_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32:
      return H5T_IEEE_F32LE;
    case Dtype::f64:
      return H5T_IEEE_F64LE;
    case Dtype::i32:
      return H5T_STD_I32LE;
    case Dtype::i64:
      return H5T_STD_I64LE;
    case Dtype::u8:
      return H5T_STD_U8LE;
    case Dtype::u16:
    case Dtype::bf16:
    case Dtype::f16:
      return H5T_STD_U16LE;
    case Dtype::u32:
      return H5T_STD_U32LE;
  }
  throw Bug("no such dtype");
}

void write_text_attribute(hid_t object, const char* name, std::string_view text,
                          const std::string& where) {
  auto type = checked<TypeHandle>(H5Tcopy(H5T_C_S1), "H5Tcopy", where);
  require(H5Tset_size(type.get(), text.size()), "H5Tset_size", where);
  auto space = checked<SpaceHandle>(H5Screate(H5S_SCALAR), "H5Screate", where);
  auto attribute = checked<AttributeHandle>(
      H5Acreate2(object, name, type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT), "H5Acreate2",
      where);
  require(H5Awrite(attribute.get(), type.get(), text.data()), "H5Awrite", where);
}

SpaceHandle make_space(const Shape& shape, const std::string& where) {
  if (shape.empty()) return checked<SpaceHandle>(H5Screate(H5S_SCALAR), "H5Screate", where);
  const std::vector<hsize_t> extents(shape.begin(), shape.end());
  return checked<SpaceHandle>(
      H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr),
      "H5Screate_simple", where);
}

std::uint64_t create_dataset(hid_t file, const DatasetShape& dataset, const std::string& path) {
  const std::string where = path + ":" + dataset.name;
  auto creation = checked<PropertyHandle>(H5Pcreate(H5P_DATASET_CREATE), "H5Pcreate", where);
  require(H5Pset_layout(creation.get(), H5D_CONTIGUOUS), "H5Pset_layout", where);
  require(H5Pset_alloc_time(creation.get(), H5D_ALLOC_TIME_EARLY), "H5Pset_alloc_time", where);
  require(H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER), "H5Pset_fill_time", where);
  require(H5Pset_obj_track_times(creation.get(), false), "H5Pset_obj_track_times", where);
  auto link = checked<PropertyHandle>(H5Pcreate(H5P_LINK_CREATE), "H5Pcreate", where);
  require(H5Pset_create_intermediate_group(link.get(), 1), "H5Pset_create_intermediate_group",
          where);
  auto space = make_space(dataset.shape, where);
  auto handle =
      checked<DatasetHandle>(H5Dcreate2(file, dataset.name.c_str(), file_type(dataset.dtype),
                                        space.get(), link.get(), creation.get(), H5P_DEFAULT),
                             "H5Dcreate2", where);
  write_text_attribute(handle.get(), "dtype", name_of(dataset.dtype), where);
  const haddr_t offset = H5Dget_offset(handle.get());
  if (offset == HADDR_UNDEF) throw_failed("H5Dget_offset", where);
  return offset;
}

}  // namespace

FileLayout create_hdf5(const FileSystem::Path& path, const std::vector<DatasetShape>& datasets,
                       std::uint64_t alignment) {
  std::lock_guard lock(library_mutex());
  const std::string where = path.string();
  // Our errors say what failed; the library's own printing is off.
  require(H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr), "H5Eset_auto2", where);
  auto access = checked<PropertyHandle>(H5Pcreate(H5P_FILE_ACCESS), "H5Pcreate", where);
  require(H5Pset_alignment(access.get(), alignment, alignment), "H5Pset_alignment", where);
  require(H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG), "H5Pset_fclose_degree", where);
  // Nobody else knows the file yet, and some file systems of clusters have no locks.
  require(H5Pset_file_locking(access.get(), false, true), "H5Pset_file_locking", where);
  FileLayout layout;
  {
    auto file = checked<FileHandle>(
        H5Fcreate(where.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), "H5Fcreate", where);
    write_text_attribute(file.get(), "format", "concordat-checkpoint-1", where);
    for (const auto& dataset : datasets) {
      layout.offsets.push_back(create_dataset(file.get(), dataset, where));
    }
    require(H5Fflush(file.get(), H5F_SCOPE_GLOBAL), "H5Fflush", where);
    // Closed with its return code read: an error here is an error of the file.
    const hid_t raw = file.release();
    require(H5Fclose(raw), "H5Fclose", where);
  }
  layout.file_bytes = std::filesystem::file_size(path);
  return layout;
}

std::string hdf5_library() {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned release = 0;
  H5get_libversion(&major, &minor, &release);
  return "HDF5 " + std::to_string(major) + "." + std::to_string(minor) + "." +
         std::to_string(release);
}

}  // namespace concordat::checkpoint
