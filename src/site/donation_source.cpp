#include "site/donation_source.hpp"

#include <algorithm>
#include <numeric>

#include "concordat/checkpoint/inspect.hpp"
#include "concordat/core/error.hpp"
#include "concordat/site/errors.hpp"

namespace concordat::site {
namespace {

[[noreturn]] void nothing(std::string what, std::string where, std::string found,
                          std::string expected) {
  throw Error(errors::nothing_to_give,
              {.what = std::move(what),
               .where = std::move(where),
               .found = std::move(found),
               .expected = std::move(expected),
               .remedy = "federation.donate_to keeps what is needed from the next round on; ask "
                         "another site, or give again after the next round"});
}

/// What the fast tier has and the run folder has not; a border need not be on those nodes.
std::string on_nodes_alone(RunFolder& folder) {
  const auto fast = checkpoint::fast_generation(folder.files(), folder.checkpoints());
  if (!fast || folder.files().exists(folder.checkpoints() / *fast)) return {};
  return "; " + *fast +
         " is on the disks of the nodes alone (FAST), and comes here with a job's next save there";
}

}  // namespace

std::string generation_of(FileSystem& fs, const FileSystem::Path& checkpoints,
                          const ExchangeId& exchange, const Digest& state) {
  for (const std::string& name : checkpoint::list_generations(fs, checkpoints)) {
    try {
      const checkpoint::Manifest manifest = checkpoint::read_manifest(fs, checkpoints / name);
      const auto digest = manifest.metadata.find(std::string(checkpoint::keys::state_digest));
      if (manifest.position.round == exchange.round.value() && digest != manifest.metadata.end() &&
          digest->second == state.hex()) {
        return name;
      }
    } catch (const Error&) {
      continue;  // damaged, or just being removed
    }
  }
  return {};
}

DonationSource::DonationSource(RunFolder& folder, const StateShape& shape,
                               const ClosedExchange& closed,
                               std::vector<std::uint32_t> scales_per_block)
    : shape_(shape), closed_(closed) {
  FileSystem& fs = folder.files();
  const std::string name = generation_of(fs, folder.checkpoints(), closed.exchange, closed.state);
  if (name.empty()) {
    nothing("no generation holds the state that the last exchange started from",
            folder.checkpoints().string(),
            "none of exchange " + closed.exchange.text() + on_nodes_alone(folder),
            "state " + closed.state.hex());
  }
  if (!folder.has_closed(closed.exchange) || !fs.exists(folder.aggregate_blocks(closed.exchange))) {
    nothing("the sum of the last exchange is not in the inbox",
            folder.inbox(closed.exchange).string(), "no CLOSED or no aggregate.blocks",
            "what the border put there");
  }
  const FileSystem::Path generation = folder.checkpoints() / name;
  const checkpoint::Manifest manifest = checkpoint::read_manifest(fs, generation);
  const auto elements = static_cast<std::int64_t>(shape.num_elements);
  contents_.scales = std::move(scales_per_block);
  CONCORDAT_REQUIRE(contents_.scales.size() == shape.num_blocks(),
                    std::to_string(contents_.scales.size()));
  const auto num_scales =
      std::accumulate(contents_.scales.begin(), contents_.scales.end(), std::int64_t{0});
  for (const std::string& vector : shape.vectors()) {
    const std::string dataset = vector == "model" ? "outer/phi" : "outer/" + vector;
    const auto found =
        std::ranges::find(manifest.datasets, dataset, &checkpoint::Manifest::Dataset::name);
    const std::int64_t count = vector == "scales" ? num_scales : elements;
    if (found == manifest.datasets.end() || found->shape != Shape{count} ||
        found->dtype != Dtype::f32) {
      nothing("a generation has not the outer state that the agreement says", generation.string(),
              "another " + dataset, std::to_string(count) + " elements in fp32");
    }
    offsets_.push_back(found->offset);
  }
  state_ = fs.open(generation / "state.h5", OpenMode::read);
  sums_ = fs.open(folder.aggregate_blocks(closed.exchange), OpenMode::read);
  contents_.total_weight = static_cast<std::uint32_t>(closed.total_weight);
  contents_.leaves.resize(shape.vectors().size());
}

bool DonationSource::hash_some(std::uint64_t most_bytes) {
  std::uint64_t done = 0;
  while (!hashed()) {
    const StateShape::Piece piece = shape_.piece(next_);
    const std::uint64_t size = piece_bytes(contents_, shape_, next_);
    if (done > 0 && done + size > most_bytes) return false;
    done += size;
    const Bytes bytes = read(next_);
    if (piece.vector == contents_.leaves.size()) {
      contents_.sums.push_back(
          border::block_leaf({border::BlockVector::update, piece.block}, bytes));
    } else {
      contents_.leaves[piece.vector].push_back(parallel::state_leaf(
          shape_.vectors()[piece.vector], static_cast<std::int64_t>(piece.block), bytes));
    }
    if (next_ + 1 == shape_.num_messages()) check_contents(contents_, shape_, closed_);
    ++next_;
  }
  return true;
}

const StateContents& DonationSource::contents() const {
  CONCORDAT_REQUIRE(hashed(), std::to_string(next_));
  return contents_;
}

std::uint64_t DonationSource::first_scale(std::uint64_t block) const {
  return std::accumulate(contents_.scales.begin(),
                         contents_.scales.begin() + static_cast<std::ptrdiff_t>(block),
                         std::uint64_t{0});
}

Bytes DonationSource::read(std::uint32_t position) {
  const StateShape::Piece piece = shape_.piece(position);
  Bytes bytes(piece_bytes(contents_, shape_, position));
  const std::uint64_t first = piece.block << static_cast<unsigned>(shape_.block_log2);
  if (piece.vector == offsets_.size()) {
    sums_->read_at(first * shape_.lane_bytes, bytes);
  } else {
    const bool scales = piece.vector + 1 == offsets_.size();
    const std::uint64_t at = scales ? first_scale(piece.block) : first;
    state_->read_at(offsets_[piece.vector] + 4 * at, bytes);
  }
  return bytes;
}

Bytes DonationSource::piece(std::uint32_t position) {
  CONCORDAT_REQUIRE(hashed(), std::to_string(next_));
  Bytes bytes = read(position);
  check_piece(contents_, shape_, position, bytes);
  return bytes;
}

}  // namespace concordat::site
