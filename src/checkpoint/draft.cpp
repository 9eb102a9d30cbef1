#include "checkpoint/draft.hpp"

#include "checkpoint/extents.hpp"
#include "checkpoint/generations.hpp"
#include "checkpoint/manifest.hpp"
#include "concordat/core/kill_point.hpp"

namespace concordat::checkpoint {

namespace {

/// What the file takes at most: the datasets, and for each its header and the gap before it.
std::uint64_t bytes_needed(const std::vector<DatasetShape>& datasets, std::uint64_t alignment) {
  std::uint64_t needed = 1U << 20U;  // structure and manifest
  for (const auto& dataset : datasets) {
    const auto bytes =
        static_cast<std::uint64_t>(num_elements(dataset.shape)) * size_of(dataset.dtype);
    needed += bytes + 4096 + (bytes >= alignment ? alignment : 0);
  }
  return needed;
}

void check_space(FileSystem& fs, const Path& folder, std::uint64_t needed) {
  const auto available = fs.free_bytes(folder);
  if (available >= needed) return;
  throw Error(concordat::errors::disk_full,
              {.what = "a checkpoint does not fit",
               .where = folder.string(),
               .found = std::to_string(available) + " bytes free",
               .expected = std::to_string(needed) + " bytes",
               .remedy = "free space or move the run folder; the last checkpoints stay"});
}

}  // namespace

Path draft_folder(const Path& folder, const std::string& name) {
  return folder / (std::string(unfinished_prefix) + name);
}

void make_room(FileSystem& fs, const Path& folder, const std::vector<DatasetShape>& datasets,
               std::uint64_t alignment) {
  fs.make_directories(folder);
  sweep(fs, folder);
  check_space(fs, folder, bytes_needed(datasets, alignment));
}

Draft prepare(FileSystem& fs, const Path& folder, const std::string& name,
              const std::vector<DatasetShape>& datasets, std::uint64_t alignment) {
  make_room(fs, folder, datasets, alignment);
  Draft draft{.name = name, .folder = draft_folder(folder, name), .layout = {}};
  fs.make_directories(draft.folder);
  const Path state = draft.folder / state_name;
  fs.open(state, OpenMode::create_exclusive)->sync();
  draft.layout = create_hdf5(state, datasets, alignment);
  return draft;
}

void share(comm::Communicator& comm, FileLayout& layout) {
  ByteWriter out;
  if (comm.rank() == 0) {
    out.u64(layout.file_bytes);
    for (auto offset : layout.offsets) out.u64(offset);
  }
  Bytes bytes = out.bytes();
  comm.broadcast_bytes(bytes, 0);
  ByteReader in(bytes, "checkpoint layout");
  layout.file_bytes = in.u64();
  layout.offsets.clear();
  while (in.left() > 0) layout.offsets.push_back(in.u64());
}

std::string complete_manifest(FileSystem& fs, const Draft& draft, Manifest manifest) {
  manifest.file_bytes = draft.layout.file_bytes;
  manifest.structure =
      structure_digest(*fs.open(draft.folder / state_name, OpenMode::read), manifest);
  return encode_manifest(manifest);
}

void write_manifest(FileSystem& fs, const Draft& draft, const std::string& text) {
  {
    auto file = fs.open(draft.folder / manifest_name, OpenMode::create_exclusive);
    file->write(as_bytes(text));
    file->sync();
  }
  fs.sync_directory(draft.folder);
}

void give_name(FileSystem& fs, const Path& folder, const Draft& draft, Saved& saved,
               const SaveOptions& options) {
  kill_point("checkpoint.before_publish");
  fs.rename(draft.folder, folder / draft.name);
  fs.sync_directory(folder);
  saved.set_aside = set_newer_aside(fs, folder, draft.name);
  write_atomically(fs, folder / "LATEST", as_bytes(draft.name + "\n"));
  remove_old(fs, folder, options);
}

void share(comm::Communicator& comm, Saved& saved) {
  ByteWriter out;
  out.sized(saved.name);
  out.digest(saved.manifest);
  out.u64(saved.bytes);
  out.f64(saved.write_seconds);
  for (const auto& name : saved.set_aside) out.sized(name);
  Bytes bytes = out.bytes();
  comm.broadcast_bytes(bytes, 0);
  ByteReader in(bytes, "saved checkpoint");
  saved = {};
  saved.name = in.sized_string(4096);
  saved.manifest = in.digest();
  saved.bytes = in.u64();
  saved.write_seconds = in.f64();
  while (in.left() > 0) saved.set_aside.push_back(in.sized_string(4096));
}

}  // namespace concordat::checkpoint
