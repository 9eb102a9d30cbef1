#include "concordat/border/leaf_tree.hpp"

#include "concordat/core/error.hpp"
#include "concordat/crypto/merkle.hpp"

namespace concordat::border {
namespace {

constexpr std::size_t digest_bytes = 32;
constexpr std::size_t batch_bytes = 16U << 10U;

}  // namespace

LeafTreeWriter::LeafTreeWriter(FileSystem& fs, FileSystem::Path path)
    : fs_(fs), path_(std::move(path)), temporary_(path_) {
  temporary_ += ".tmp";
  file_ = fs_.open(temporary_, OpenMode::truncate);
}

void LeafTreeWriter::add(const Digest& leaf) {
  pending_.insert(pending_.end(), leaf.bytes.begin(), leaf.bytes.end());
  ++num_leaves_;
  if (pending_.size() >= batch_bytes) {
    file_->write(pending_);
    pending_.clear();
  }
}

Digest LeafTreeWriter::finish() {
  CONCORDAT_REQUIRE(num_leaves_ > 0, "no leaves");
  file_->write(pending_);
  pending_.clear();
  // Level by level: read pairs below, append their parents. Offsets are in nodes.
  std::uint64_t below = 0;
  for (std::uint64_t nodes = num_leaves_; nodes > 1; nodes = (nodes + 1) / 2) {
    for (std::uint64_t at = 0; at < nodes;) {
      std::uint64_t count = std::min<std::uint64_t>(nodes - at, batch_bytes / digest_bytes);
      Bytes level(count * digest_bytes);
      file_->read_at((below + at) * digest_bytes, level);
      Bytes parents;
      for (std::uint64_t i = 0; i < count; i += 2) {
        ByteView left = ByteView(level).subspan(i * digest_bytes, digest_bytes);
        Digest parent = digest_from(left, "leaf tree");
        if (i + 1 < count) {
          ByteView right = ByteView(level).subspan((i + 1) * digest_bytes, digest_bytes);
          parent = crypto::merkle_node(parent, digest_from(right, "leaf tree"));
        }
        parents.insert(parents.end(), parent.bytes.begin(), parent.bytes.end());
      }
      file_->write(parents);
      at += count;
    }
    below += nodes;
  }
  Digest root;
  file_->read_at(file_->size() - digest_bytes, root.bytes);
  file_->sync();
  file_.reset();
  fs_.rename(temporary_, path_);
  fs_.sync_directory(path_.has_parent_path() ? path_.parent_path() : FileSystem::Path("."));
  return root;
}

LeafTree::LeafTree(FileSystem& fs, const FileSystem::Path& path, std::uint64_t num_leaves)
    : file_(fs.open(path, OpenMode::read)) {
  CONCORDAT_REQUIRE(num_leaves > 0, path.string());
  std::uint64_t total = 0;
  for (std::uint64_t nodes = num_leaves;; nodes = (nodes + 1) / 2) {
    level_offsets_.push_back(total);
    level_sizes_.push_back(nodes);
    total += nodes;
    if (nodes == 1) break;
  }
  if (file_->size() != total * digest_bytes) {
    throw Error(errors::malformed, {.what = "a leaf tree of the wrong length",
                                    .where = path.string(),
                                    .found = std::to_string(file_->size()) + " bytes",
                                    .expected = std::to_string(total * digest_bytes) + " bytes",
                                    .remedy = "remove the file; it is made again"});
  }
}

Digest LeafTree::node(std::size_t level, std::uint64_t index) {
  Digest digest;
  file_->read_at((level_offsets_[level] + index) * digest_bytes, digest.bytes);
  return digest;
}

Digest LeafTree::leaf(std::uint64_t position) {
  CONCORDAT_REQUIRE(position < level_sizes_[0], std::to_string(position));
  return node(0, position);
}

Digest LeafTree::root() { return node(level_sizes_.size() - 1, 0); }

std::vector<Digest> LeafTree::path(std::uint64_t position) {
  CONCORDAT_REQUIRE(position < level_sizes_[0], std::to_string(position));
  std::vector<Digest> path;
  for (std::size_t level = 0; level + 1 < level_sizes_.size(); ++level, position /= 2) {
    if (std::uint64_t sibling = position ^ 1U; sibling < level_sizes_[level]) {
      path.push_back(node(level, sibling));
    }
  }
  return path;
}

}  // namespace concordat::border
