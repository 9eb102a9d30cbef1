#include "coordinator/sum.hpp"

#include <algorithm>

#include "concordat/border/leaf_tree.hpp"
#include "concordat/core/kill_point.hpp"
#include "concordat/exact/errors.hpp"
#include "concordat/exact/lanes.hpp"

namespace concordat::coordinator {
namespace {

using border::BlockVector;

// Sum, one sealed block, one plain block.
constexpr std::uint64_t blocks_held = 3;

std::uint64_t weight_of(ByteView sum) {
  ByteReader in(sum, "sum of the weights");
  std::uint64_t weight = in.u32();
  in.finish();
  return weight;
}

void check_total(const federation::ExchangeTerms& terms, std::size_t num_uploads,
                 std::uint64_t weight) {
  std::uint64_t most = num_uploads * static_cast<std::uint64_t>(terms.weight_cap);
  if (weight <= most) return;
  throw Error(exact::errors::sum_out_of_range,
              {.what = "the sum of the weights is out of range",
               .where = "exchange " + terms.exchange.text(),
               .found = std::to_string(weight),
               .expected = "at most " + std::to_string(most),
               .remedy = "some site masked something else than it agreed to; the round cannot "
                         "be closed"});
}

}  // namespace

std::optional<SumResult> add_uploads(const CoordinatorFolder& folder,
                                     const federation::ExchangeTerms& terms,
                                     std::span<const std::shared_ptr<Upload>> uploads,
                                     border::ByteBudget& budget,
                                     const std::function<bool()>& stop) {
  CONCORDAT_REQUIRE(!uploads.empty(), terms.exchange.text());
  const border::FrameTable table = terms.table(Digest{});
  std::uint64_t largest = 0;
  for (const auto& shape : table.vectors) {
    largest = std::max<std::uint64_t>(largest, shape.block_bytes);
  }
  const std::uint64_t lanes_per_block = std::uint64_t{1} << terms.block_log2;
  const std::uint64_t limit =
      exact::max_sum(static_cast<std::uint32_t>(uploads.size()), terms.quantiser.bits);

  FileSystem& fs = folder.files();
  FileSystem::Path path = folder.sum(terms.exchange);
  FileSystem::Path temporary = path;
  temporary += ".tmp";
  auto file = fs.open(temporary, OpenMode::truncate);
  border::LeafTreeWriter leaves(fs, folder.tree(terms.exchange));
  SumResult result;
  Bytes sum;
  Bytes plain;
  for (std::uint64_t position = 0; position < table.num_leaves(); ++position) {
    if (stop()) return std::nullopt;
    // Given back after every block, so that connections get their turn.
    auto held = budget.reserve(blocks_held * (largest + 64));
    border::BlockPlace place = table.place(position);
    sum.assign(table.block_bytes(place), 0);
    plain.resize(sum.size());
    const bool update = place.vector == BlockVector::update;
    const exact::Lane lane = update ? terms.quantiser.lane : exact::Lane::u32;
    for (const auto& upload : uploads) {
      upload->read_block(position, plain);
      exact::add_lanes(lane, sum, plain);
    }
    if (update) {
      exact::check_range(lane, sum, limit, place.index * lanes_per_block);
    } else {
      result.total_weight = weight_of(sum);
      check_total(terms, uploads.size(), result.total_weight);
    }
    file->write(sum);
    leaves.add(border::block_leaf(place, sum));
    if (position == 0) kill_point("coordinator.mid_sum");
  }
  file->sync();
  file.reset();
  fs.rename(temporary, path);
  // The tree's own renaming syncs the folder, and with it the sum's name.
  result.table = terms.table(leaves.finish());
  return result;
}

}  // namespace concordat::coordinator
