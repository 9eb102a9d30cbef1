#include "checkpoint/extents.hpp"

#include <algorithm>

#include "concordat/crypto/hash.hpp"
#include "concordat/crypto/merkle.hpp"

namespace concordat::checkpoint {

std::uint64_t extent_bytes(const Manifest::Dataset& dataset) {
  // Bounded before it is multiplied: manifests are input.
  std::uint64_t count = 1;
  for (std::int64_t extent : dataset.shape) {
    if (extent < 1 || count > (std::uint64_t{1} << 56U) / static_cast<std::uint64_t>(extent)) {
      throw Error(concordat::errors::malformed, {.what = "a dataset has no possible shape",
                                                 .where = dataset.name,
                                                 .found = to_string(dataset.shape)});
    }
    count *= static_cast<std::uint64_t>(extent);
  }
  return count * size_of(dataset.dtype);
}

parallel::Slice part_of(std::size_t index, const Shape& shape, int rank, int num_ranks) {
  const int turned =
      (rank + static_cast<int>(index % static_cast<std::size_t>(num_ranks))) % num_ranks;
  return parallel::slice_of(turned, num_ranks, num_elements(shape), tensor_block_log2);
}

void read_elements(File& file, const Manifest::Dataset& dataset, std::int64_t begin,
                   const Tensor& into) {
  file.read_at(dataset.offset + static_cast<std::uint64_t>(begin) * size_of(dataset.dtype),
               {reinterpret_cast<std::uint8_t*>(into.raw_bytes()), into.size_bytes()});
}

std::vector<Digest> flatten(const std::vector<std::vector<Digest>>& lists) {
  std::vector<Digest> all;
  for (const auto& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}

std::vector<Digest> roots_of(std::vector<ByteReader>& leaves, const std::vector<Shape>& shapes) {
  const int num_ranks = static_cast<int>(leaves.size());
  std::vector<Digest> roots;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const std::int64_t count = num_elements(shapes[i]);
    const std::int64_t block = std::int64_t{1} << tensor_block_log2;
    std::vector<Digest> all(static_cast<std::size_t>((count + block - 1) / block));
    for (int r = 0; r < num_ranks; ++r) {
      const auto part = part_of(i, shapes[i], r, num_ranks);
      for (auto b = part.begin_block; b < part.end_block; ++b) {
        all[static_cast<std::size_t>(b)] = leaves[static_cast<std::size_t>(r)].digest();
      }
    }
    roots.push_back(crypto::merkle_root(all));
  }
  return roots;
}

std::vector<Digest> gather_roots(comm::Communicator& comm, std::span<const Digest> mine,
                                 const std::vector<Shape>& shapes) {
  ByteWriter out;
  for (const auto& leaf : mine) out.digest(leaf);
  const auto all = comm.all_gather_bytes(out.bytes());
  std::vector<ByteReader> readers;
  for (const auto& bytes : all) readers.emplace_back(bytes, "checkpoint leaves");
  return roots_of(readers, shapes);
}

Digest structure_digest(File& file, const Manifest& manifest) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> extents;
  for (const auto& dataset : manifest.datasets) {
    extents.emplace_back(dataset.offset, extent_bytes(dataset));
  }
  extents.emplace_back(manifest.file_bytes, 0);
  std::sort(extents.begin(), extents.end());
  crypto::Sha256 hash;
  std::uint64_t at = 0;
  for (const auto& [offset, bytes] : extents) {
    while (at < offset) {
      Bytes gap(std::min<std::uint64_t>(offset - at, 1U << 20U));
      file.read_at(at, gap);
      hash.update(gap);
      at += gap.size();
    }
    at = offset + bytes;
  }
  return hash.finish();
}

}  // namespace concordat::checkpoint
