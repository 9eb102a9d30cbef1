// LeafTree: a Merkle tree over block leaves that lies in a file, so that paths cost O(log n) memory
// and time for models of any size.
//
//   LeafTreeWriter writer(fs, folder / "aggregate.tree");
//   for (...) writer.add(block_leaf(place, bytes));
//   Digest root = writer.finish();                        // durable, renamed into place
//   LeafTree tree(fs, folder / "aggregate.tree", table.num_leaves());
//   Envelope e = sealer.seal(place, bytes, tree.path(table.position(place)));
//
// File: the levels one after the other, each an array of 32-byte digests; a lone last node moves up
// unchanged, which gives the tree of RFC 6962. Threads: one at a time per object.
#pragma once

#include <memory>
#include <vector>

#include "concordat/core/file.hpp"

namespace concordat::border {

class LeafTreeWriter {
 public:
  LeafTreeWriter(FileSystem& fs, FileSystem::Path path);
  void add(const Digest& leaf);
  /// Writes the upper levels, syncs, renames. @pre at least one leaf.
  Digest finish();

 private:
  FileSystem& fs_;
  FileSystem::Path path_;
  FileSystem::Path temporary_;
  std::unique_ptr<File> file_;
  Bytes pending_;
  std::uint64_t num_leaves_ = 0;
};

class LeafTree {
 public:
  /// @throws Error(malformed) for a file of an impossible length.
  LeafTree(FileSystem& fs, const FileSystem::Path& path, std::uint64_t num_leaves);
  Digest leaf(std::uint64_t position);
  Digest root();
  /// Siblings from the leaf to the root.
  std::vector<Digest> path(std::uint64_t position);

 private:
  Digest node(std::size_t level, std::uint64_t index);
  std::unique_ptr<File> file_;
  std::vector<std::uint64_t> level_sizes_;
  std::vector<std::uint64_t> level_offsets_;
};

}  // namespace concordat::border
