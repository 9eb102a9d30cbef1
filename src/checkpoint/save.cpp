#include <algorithm>
#include <optional>

#include "checkpoint/batch.hpp"
#include "checkpoint/extents.hpp"
#include "checkpoint/generations.hpp"
#include "checkpoint/hdf5_layout.hpp"
#include "checkpoint/manifest.hpp"
#include "checkpoint/named_tensor.hpp"
#include "concordat/comm/agree.hpp"
#include "concordat/crypto/hash.hpp"

namespace concordat::checkpoint {

namespace {

/// What rank 0 decides before anybody writes.
struct Draft {
  std::string name;
  Path folder;  ///< `.new-NAME`
  FileLayout layout;
};

void check_space(FileSystem& fs, const Path& folder, const std::vector<NamedTensor>& tensors) {
  std::uint64_t needed = 1U << 20U;  // structure and manifest
  for (const auto& tensor : tensors) {
    needed += static_cast<std::uint64_t>(num_elements(tensor.shape)) * size_of(tensor.dtype) + 4096;
  }
  const auto available = fs.free_bytes(folder);
  if (available >= needed) return;
  throw Error(concordat::errors::disk_full,
              {.what = "a checkpoint does not fit",
               .where = folder.string(),
               .found = std::to_string(available) + " bytes free",
               .expected = std::to_string(needed),
               .remedy = "free space or move the run folder; the last checkpoints stay"});
}

Draft prepare(FileSystem& fs, const Path& folder, const Position& position,
              const std::vector<NamedTensor>& tensors) {
  fs.make_directories(folder);
  sweep(fs, folder);
  check_space(fs, folder, tensors);
  Draft draft;
  draft.name = next_name(fs, folder, position.step);
  draft.folder = folder / (std::string(unfinished_prefix) + draft.name);
  fs.make_directories(draft.folder);
  const Path state = draft.folder / state_name;
  fs.open(state, OpenMode::create_exclusive)->sync();
  std::vector<DatasetShape> datasets;
  for (const auto& tensor : tensors) datasets.push_back({tensor.name, tensor.shape, tensor.dtype});
  draft.layout = create_hdf5(state, datasets);
  return draft;
}

void share(comm::Communicator& comm, Draft& draft) {
  ByteWriter out;
  if (comm.rank() == 0) {
    out.sized(draft.name);
    out.sized(draft.folder.string());
    out.u64(draft.layout.file_bytes);
    for (auto offset : draft.layout.offsets) out.u64(offset);
  }
  Bytes bytes = out.bytes();
  comm.broadcast_bytes(bytes, 0);
  ByteReader in(bytes, "checkpoint draft");
  draft.name = in.sized_string(4096);
  draft.folder = in.sized_string(1U << 16U);
  draft.layout.file_bytes = in.u64();
  draft.layout.offsets.clear();
  while (in.left() > 0) draft.layout.offsets.push_back(in.u64());
}

/// Collective: reshards batch by batch to the ranks' parts, writes and hashes them. A rank whose
/// disk fails goes on with the collectives and reports at the end, or the others would hang.
std::vector<Digest> write_parts(comm::Communicator& comm, FileSystem& fs, const Draft& draft,
                                const std::vector<NamedTensor>& tensors) {
  std::optional<Error> failure;
  std::unique_ptr<File> file;
  auto attempt = [&](auto&& work) {
    if (failure) return;
    try {
      work();
    } catch (const Error& error) {
      failure = error;
    }
  };
  attempt([&] { file = fs.open(draft.folder / state_name, OpenMode::read_write); });
  std::vector<std::vector<Digest>> leaves(tensors.size());
  for (auto& batch : batches_of(tensors)) {
    BatchParts parts(comm, tensors, std::move(batch));
    parts.collect();
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const Tensor& mine = parts.part(i);
      if (mine.empty()) continue;
      append_leaves(leaves[parts.dataset(i)], mine);
      attempt([&] {
        const auto offset =
            draft.layout.offsets[parts.dataset(i)] +
            static_cast<std::uint64_t>(parts.slice(i).begin) * size_of(mine.dtype());
        file->write_at(
            offset, {reinterpret_cast<const std::uint8_t*>(mine.raw_bytes()), mine.size_bytes()});
      });
    }
  }
  attempt([&] { file->sync(); });
  comm::agree(comm, failure ? &*failure : nullptr);
  return flatten(leaves);
}

/// Rank 0, when every extent is durable.
Saved publish(FileSystem& fs, const Path& folder, const Draft& draft, Manifest manifest,
              const SaveOptions& options) {
  manifest.file_bytes = draft.layout.file_bytes;
  manifest.structure =
      structure_digest(*fs.open(draft.folder / state_name, OpenMode::read), manifest);
  const std::string text = encode_manifest(manifest);
  {
    auto file = fs.open(draft.folder / manifest_name, OpenMode::create_exclusive);
    file->write(as_bytes(text));
    file->sync();
  }
  fs.sync_directory(draft.folder);
  Saved saved{.name = draft.name,
              .manifest = crypto::sha256(as_bytes(text)),
              .bytes = draft.layout.file_bytes};
  if (options.before_publish) options.before_publish(saved);
  fs.rename(draft.folder, folder / draft.name);
  fs.sync_directory(folder);
  saved.set_aside = set_newer_aside(fs, folder, draft.name);
  write_atomically(fs, folder / "LATEST", as_bytes(draft.name + "\n"));
  remove_old(fs, folder, options);
  return saved;
}

void share(comm::Communicator& comm, Saved& saved) {
  ByteWriter out;
  out.sized(saved.name);
  out.digest(saved.manifest);
  out.u64(saved.bytes);
  for (const auto& name : saved.set_aside) out.sized(name);
  Bytes bytes = out.bytes();
  comm.broadcast_bytes(bytes, 0);
  ByteReader in(bytes, "saved checkpoint");
  saved = {};
  saved.name = in.sized_string(4096);
  saved.manifest = in.digest();
  saved.bytes = in.u64();
  while (in.left() > 0) saved.set_aside.push_back(in.sized_string(4096));
}

}  // namespace

Saved save_generation(comm::Communicator& comm, FileSystem& fs, const Path& folder,
                      const Position& position, const std::vector<NamedTensor>& tensors,
                      const Metadata& metadata, const SaveOptions& options) {
  check_same_list(comm, tensors);
  const bool first = comm.rank() == 0;
  Draft draft;
  comm::agreed(comm, [&] {
    if (first) draft = prepare(fs, folder, position, tensors);
  });
  share(comm, draft);
  const auto leaves = write_parts(comm, fs, draft, tensors);
  std::vector<Shape> shapes;
  for (const auto& tensor : tensors) shapes.push_back(tensor.shape);
  const auto roots = gather_roots(comm, leaves, shapes);
  Saved saved;
  comm::agreed(comm, [&] {
    if (!first) return;
    Manifest manifest{.position = position, .metadata = metadata};
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      manifest.datasets.push_back(
          {tensors[i].name, tensors[i].shape, tensors[i].dtype, draft.layout.offsets[i], roots[i]});
    }
    saved = publish(fs, folder, draft, std::move(manifest), options);
  });
  share(comm, saved);
  return saved;
}

}  // namespace concordat::checkpoint
