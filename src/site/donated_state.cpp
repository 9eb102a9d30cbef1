#include "site/donated_state.hpp"

#include <algorithm>

#include "concordat/border/frames.hpp"
#include "concordat/core/error.hpp"
#include "concordat/crypto/merkle.hpp"
#include "concordat/governance/decide.hpp"
#include "concordat/site/errors.hpp"

namespace concordat::site {
namespace {

constexpr std::uint8_t version = 1;

[[noreturn]] void refuse(std::string what, std::string where, std::string found,
                         std::string expected) {
  throw Error(errors::state_refused, {.what = std::move(what),
                                      .where = std::move(where),
                                      .found = std::move(found),
                                      .expected = std::move(expected),
                                      .remedy = "nothing of it was taken; ask another donor"});
}

Digest weight_leaf(std::uint32_t total_weight) {
  ByteWriter lane;
  lane.u32(total_weight);
  return border::block_leaf({border::BlockVector::weight, 0}, lane.bytes());
}

}  // namespace

std::uint64_t StateShape::num_blocks() const {
  const std::uint64_t length = std::uint64_t{1} << static_cast<unsigned>(block_log2);
  return (num_elements + length - 1) / length;
}

std::uint64_t StateShape::block_elements(std::uint64_t block) const {
  const std::uint64_t length = std::uint64_t{1} << static_cast<unsigned>(block_log2);
  return std::min(length, num_elements - block * length);
}

std::vector<std::string> StateShape::vectors() const {
  std::vector<std::string> names{"model"};
  if (moments > 0) names.emplace_back("m");
  if (moments > 1) names.emplace_back("v");
  names.emplace_back("scales");
  return names;
}

std::uint32_t StateShape::num_messages() const {
  return static_cast<std::uint32_t>(1 + (vectors().size() + 1) * num_blocks());
}

StateShape::Piece StateShape::piece(std::uint32_t position) const {
  CONCORDAT_REQUIRE(position > 0 && position < num_messages(), std::to_string(position));
  return {static_cast<std::size_t>((position - 1) / num_blocks()), (position - 1) % num_blocks()};
}

StateShape state_shape(const federation::RunAgreement& agreement, const ExchangeId& exchange) {
  return {.num_elements = agreement.num_elements,
          .block_log2 = static_cast<int>(agreement.block_log2),
          .moments = exact::num_moments(agreement.outer.kind),
          .lane_bytes = static_cast<std::uint32_t>(
              exact::lane_bytes(agreement.quantiser_of(exchange.round).lane))};
}

void require_fits(const StateShape& shape) {
  const std::uint64_t vectors = shape.vectors().size() + 1;
  const std::uint64_t blocks = shape.num_blocks();
  constexpr std::uint64_t before_lists = 1 + 4 + 4;
  const std::uint64_t contents = before_lists + blocks * (4 + 32 * vectors);
  const std::uint64_t messages = 1 + vectors * blocks;
  if (contents <= border::max_body_bytes && messages <= std::uint64_t{1}
                                                            << governance::state_position_bits) {
    return;
  }
  throw Error(
      errors::nothing_to_give,
      {.what = "a state of so many blocks cannot be given",
       .where = "the run agreement",
       .found = std::to_string(blocks) + " blocks of 2^" + std::to_string(shape.block_log2) +
                " elements, whose leaves take " + std::to_string(contents) + " bytes",
       .expected = "at most " + std::to_string(border::max_body_bytes) + " bytes of leaves",
       .remedy = "agree on larger blocks for the next run; keep a backup of the run folder "
                 "in this one"});
}

Bytes encode(const StateContents& contents) {
  ByteWriter out;
  out.u8(version);
  out.u32(contents.total_weight);
  out.u32(static_cast<std::uint32_t>(contents.scales.size()));
  for (const std::uint32_t count : contents.scales) out.u32(count);
  for (const auto& leaves : contents.leaves) {
    for (const Digest& leaf : leaves) out.digest(leaf);
  }
  for (const Digest& leaf : contents.sums) out.digest(leaf);
  return std::move(out).bytes();
}

StateContents decode_contents(ByteView body, const StateShape& shape) {
  const std::string where = "contents of a state";
  ByteReader in(body, where);
  const std::uint8_t found = in.u8();
  const auto malformed = [&](std::string what, std::uint64_t is, std::uint64_t expected) {
    throw Error(concordat::errors::malformed, {.what = std::move(what),
                                               .where = where,
                                               .found = std::to_string(is),
                                               .expected = std::to_string(expected),
                                               .remedy = "the donor runs another version"});
  };
  if (found != version) malformed("a state of another version", found, version);
  StateContents contents;
  contents.total_weight = in.u32();
  const std::uint64_t blocks = shape.num_blocks();
  const std::uint32_t count = in.u32();
  if (count != blocks) malformed("a state of another number of blocks", count, blocks);
  for (std::uint64_t i = 0; i < blocks; ++i) {
    const std::uint32_t scales = in.u32();
    if (scales == 0 || scales > shape.block_elements(i)) {
      malformed("a block with an impossible number of scales", scales, 1);
    }
    contents.scales.push_back(scales);
  }
  const auto read = [&] {
    std::vector<Digest> leaves;
    for (std::uint64_t i = 0; i < blocks; ++i) leaves.push_back(in.digest());
    return leaves;
  };
  for (std::size_t i = 0; i < shape.vectors().size(); ++i) contents.leaves.push_back(read());
  contents.sums = read();
  in.finish();
  return contents;
}

void check_contents(const StateContents& contents, const StateShape& shape,
                    const ClosedExchange& closed) {
  const std::string where = "state of exchange " + closed.exchange.text();
  const std::vector<std::string> names = shape.vectors();
  std::vector<parallel::VectorLeaves> vectors;
  for (std::size_t i = 0; i < names.size(); ++i) vectors.push_back({names[i], contents.leaves[i]});
  const Digest state =
      parallel::state_root(closed.exchange.round, static_cast<std::int64_t>(shape.num_elements),
                           shape.block_log2, vectors);
  if (state != closed.state) {
    refuse("the donor's state is not the one that the participants cosigned", where, state.hex(),
           closed.state.hex());
  }
  crypto::MerkleBuilder tree;
  for (const Digest& leaf : contents.sums) tree.add(leaf);
  tree.add(weight_leaf(contents.total_weight));
  if (tree.root() != closed.aggregate || contents.total_weight != closed.total_weight) {
    refuse("the donor's aggregate is not the one that the participants signed", where,
           tree.root().hex(), closed.aggregate.hex());
  }
}

std::uint64_t piece_bytes(const StateContents& contents, const StateShape& shape,
                          std::uint32_t position) {
  const StateShape::Piece piece = shape.piece(position);
  const std::size_t scales = shape.vectors().size() - 1;
  if (piece.vector == scales) return std::uint64_t{4} * contents.scales[piece.block];
  const std::uint64_t width = piece.vector < scales ? 4 : shape.lane_bytes;
  return width * shape.block_elements(piece.block);
}

void check_piece(const StateContents& contents, const StateShape& shape, std::uint32_t position,
                 ByteView bytes) {
  const StateShape::Piece piece = shape.piece(position);
  const std::vector<std::string> names = shape.vectors();
  const bool is_sum = piece.vector == names.size();
  const std::string where =
      (is_sum ? "sum" : names[piece.vector]) + " block " + std::to_string(piece.block);
  const std::uint64_t size = piece_bytes(contents, shape, position);
  if (bytes.size() != size) {
    refuse("a block of the state has another size", where, std::to_string(bytes.size()) + " bytes",
           std::to_string(size));
  }
  const Digest found = is_sum
                           ? border::block_leaf({border::BlockVector::update, piece.block}, bytes)
                           : parallel::state_leaf(names[piece.vector],
                                                  static_cast<std::int64_t>(piece.block), bytes);
  const Digest& expected =
      is_sum ? contents.sums[piece.block] : contents.leaves[piece.vector][piece.block];
  if (found != expected) {
    refuse("a block of the state is not the one that the cosigned digest covers", where,
           found.hex(), expected.hex());
  }
}

}  // namespace concordat::site
