#include "unit/coordinator/fake_site.hpp"

#include <cstring>

#include "concordat/border/errors.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/crypto/merkle.hpp"
#include "concordat/exact/lanes.hpp"
#include "unit/federation/world.hpp"

namespace concordat::coordinator::testing {
namespace {

using border::BlockVector;
using border::MessageType;

std::uint8_t number_of(SiteId id) {
  return id == coordinator_id ? federation::test::hub_number
                              : federation::test::site_number(id.value());
}

std::uint64_t mix(std::uint64_t x) {
  x += 0x9e37'79b9'7f4a'7c15ULL;
  x = (x ^ (x >> 30U)) * 0xbf58'476d'1ce4'e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d0'49bb'1331'11ebULL;
  return x ^ (x >> 31U);
}

void fill(ByteSpan out, std::uint64_t seed, std::uint64_t keep_bits) {
  for (std::size_t i = 0; i < out.size(); i += 8) {
    std::uint64_t word = mix(seed + i) & keep_bits;
    std::memcpy(out.data() + i, &word, std::min<std::size_t>(8, out.size() - i));
  }
}

std::uint64_t seed_of(const federation::ExchangeTerms& terms, std::uint64_t who,
                      std::uint64_t position) {
  return mix(mix(terms.exchange.round.value() + 1000 * who) + position);
}

exact::Lane lane_of(const federation::ExchangeTerms& terms, const border::BlockPlace& place) {
  return place.vector == BlockVector::update ? terms.quantiser.lane : exact::Lane::u32;
}

}  // namespace

Federation::Federation(const std::function<void(federation::RunAgreement&)>& change,
                       std::uint32_t num_sites)
    : roster(federation::test::signed_roster(num_sites)),
      peers(federation::make_directory(roster)) {
  using federation::DocumentKind;
  federation::RunAgreement terms = federation::test::example_agreement(roster);
  if (change) change(terms);
  Bytes document = federation::encode(terms);
  agreement = federation::open_agreement(
      document, federation::test::sign_by_all(DocumentKind::agreement, document, roster.roster),
      roster, "agreement.json");
}

crypto::SiteKeys Federation::keys(SiteId id) const {
  using federation::test::signing;
  std::uint8_t number = number_of(id);
  auto at = [number](int i) { return static_cast<std::uint8_t>(number + i); };
  return {.name = roster.roster.at(id).name,
          .signing = signing(number),
          .sealing = crypto::OpeningKey::from_private(Bytes(32, at(1))),
          .tls = signing(at(2)),
          .log = signing(at(3)),
          .data_key = crypto::SecretBytes::copy_of(Bytes(32, at(4))),
          .rounding = crypto::SecretBytes::copy_of(Bytes(32, at(5)))};
}

Bytes plain_block(const federation::ExchangeTerms& terms, SiteId site, std::uint64_t position) {
  border::FrameTable table = terms.table(Digest{});
  border::BlockPlace place = table.place(position);
  Bytes block(table.block_bytes(place));
  if (place.vector == BlockVector::weight) {
    block[0] = static_cast<std::uint8_t>(100 + site.value());
    return block;
  }
  // Code points of `bits` bits in each lane of a 64-bit word.
  std::uint64_t lane_bits = 8 * exact::lane_bytes(terms.quantiser.lane);
  std::uint64_t code = (std::uint64_t{1} << static_cast<unsigned>(terms.quantiser.bits)) - 1;
  std::uint64_t keep = 0;
  for (std::uint64_t shift = 0; shift < 64; shift += lane_bits) keep |= code << shift;
  fill(block, seed_of(terms, site.value(), position), keep);
  return block;
}

Bytes masked_block(const federation::ExchangeTerms& terms, const std::vector<SiteId>& participants,
                   SiteId site, std::uint64_t position) {
  border::BlockPlace place = terms.table(Digest{}).place(position);
  Bytes block = plain_block(terms, site, position);
  Bytes mask(block.size());
  for (const SiteId other : participants) {
    if (other == site) continue;
    std::uint64_t low = std::min(other.value(), site.value());
    std::uint64_t high = std::max(other.value(), site.value());
    fill(mask, seed_of(terms, 7 + low * 100 + high, position), ~0ULL);
    if (site.value() == low) {
      exact::add_lanes(lane_of(terms, place), block, mask);
    } else {
      exact::sub_lanes(lane_of(terms, place), block, mask);
    }
  }
  return block;
}

Bytes summed_block(const federation::ExchangeTerms& terms, const std::vector<SiteId>& participants,
                   std::uint64_t position) {
  border::BlockPlace place = terms.table(Digest{}).place(position);
  Bytes sum(terms.table(Digest{}).block_bytes(place));
  for (const SiteId site : participants) {
    exact::add_lanes(lane_of(terms, place), sum, plain_block(terms, site, position));
  }
  return sum;
}

ledger::Decision permitted(const border::Header& header, std::uint64_t max_bytes) {
  auto kind = static_cast<ledger::CrossingKind>(header.type);
  return {.kind = kind,
          .exchange = header.exchange,
          .manifest = header.manifest,
          .recipient = header.recipient,
          .max_bytes = max_bytes,
          .id = ledger::decision_id(kind, header.exchange, header.recipient, header.index),
          .permitted = true,
          .rule = "entailed",
          .reason = "test"};
}

FakeSite::FakeSite(const Federation& federation, SiteId id, std::filesystem::path folder,
                   border::SiteRoad& road, FileSystem& fs, std::uint32_t absent_rounds)
    : federation_(federation),
      id_(id),
      absent_rounds_(absent_rounds),
      folder_(std::move(folder)),
      road_(road),
      fs_(fs),
      keys_(federation.keys(id)),
      self_{id, keys_.signing, keys_.sealing},
      ledger_(ledger::Ledger::open(fs_, folder_ / "ledger",
                                   ledger::log_origin(keys_.name, keys_.log.verify_key()),
                                   keys_.log, system_clock())) {
  begin(Round{0}, {});
}

void FakeSite::begin(Round round, const federation::Chain& chain) {
  auto terms = federation::exchange_terms(federation_.roster, federation_.agreement, round, chain);
  federation::ReadyBody ready;
  ready.round = round;
  ready.state = round == Round{0}
                    ? terms.initial_state
                    : federation::test::digest_of("state " + std::to_string(round.value()));
  if (drifts) ready.state = federation::test::digest_of("drifted");
  // A ledger that grows by one leaf a round: the same in every run of a test.
  std::vector<Digest> leaves(round.value() + 1U, federation::test::digest_of("leaf"));
  ready.ledger = {leaves.size(), crypto::merkle_root(leaves)};
  if (!chain.heads.empty() && chain.heads[id_.value()].size > 0) {
    ready.consistency = crypto::consistency_path(leaves, chain.heads[id_.value()].size);
  }
  ready.mask = federation::test::seal_key(static_cast<std::uint8_t>(40 + 3 * id_.value()));
  ready.share = federation::test::seal_key(static_cast<std::uint8_t>(41 + 3 * id_.value()));
  machine_.emplace(std::move(terms), id_,
                   [this](ByteView statement) { return keys_.signing.sign(statement); });
  if (round.value() < absent_rounds_) return;
  perform(machine_->handle(federation::Start{ready}));
}

Bytes FakeSite::block(std::uint64_t position) const {
  Bytes bytes = masked_block(machine_->terms(), machine_->manifest().sites(), id_, position);
  if (cheats && position == 0) {
    // The top bit of a lane: far outside the range of a sum.
    bytes[exact::lane_bytes(machine_->terms().quantiser.lane) - 1] ^= 0x80U;
  }
  return bytes;
}

void FakeSite::commit() {
  border::FrameTable table = machine_->terms().table(Digest{});
  border::LeafTreeWriter leaves(fs_, folder_ / "upload.tree");
  for (std::uint64_t position = 0; position < table.num_leaves(); ++position) {
    leaves.add(border::block_leaf(table.place(position), block(position)));
  }
  table.root = leaves.finish();
  tree_ = std::make_unique<border::LeafTree>(fs_, folder_ / "upload.tree", table.num_leaves());
  perform(machine_->handle(federation::Committed{table}));
}

void FakeSite::send(const federation::Send& message) {
  const border::Header& header = message.header;
  if (header.type != MessageType::header) {
    outgoing_.push_back(border::seal_message(decided(header), header, message.body, self_,
                                             federation_.peers, crypto::system_random()));
    return;
  }
  federation::TableBody body = federation::decode_table(message.body);
  border::FrameHeader announced{body.table, border::FrameKey::generate(crypto::system_random()),
                                body.rest};
  border::Announcement up = border::seal_announcement(decided(header), header, announced, self_,
                                                      federation_.peers, crypto::system_random());
  outgoing_.push_back(std::move(up.message));
  sealer_.emplace(std::move(up.frames));
  uploading_ = true;
}

void FakeSite::perform(const federation::Effects& effects) {
  for (const federation::Effect& effect : effects) {
    if (const auto* message = std::get_if<federation::Send>(&effect)) send(*message);
    if (std::holds_alternative<federation::ReleaseSecrets>(effect)) commit();
    if (std::holds_alternative<federation::FetchAggregate>(effect)) downloading_ = true;
    if (const auto* close = std::get_if<federation::Close>(&effect)) {
      closings_.push_back(close->digest);
    }
  }
}

bool FakeSite::upload() {
  const border::FrameTable& table = sealer_->table();
  const ExchangeId exchange = machine_->terms().exchange;
  for (std::uint64_t at = road_.upload_position(exchange); at < table.num_leaves(); ++at) {
    road_.deliver_block(sealer_->seal(table.place(at), block(at), tree_->path(at)));
    if (at % 16 == 15) road_.flush_blocks(exchange);
  }
  uploading_ = road_.flush_blocks(exchange) != table.num_leaves();
  return true;
}

bool FakeSite::download() {
  const border::FrameTable& table = opener_->table();
  std::uint64_t position = 0;
  std::uint64_t weight = 0;
  road_.fetch_blocks(machine_->terms().exchange, 0, table.num_leaves(), [&](ByteView wire) {
    border::OpenedBlock opened = opener_->open(wire);
    if (opened.bytes != summed_block(machine_->terms(), machine_->manifest().sites(), position))
      throw Bug("a wrong sum");
    if (opened.place.vector == BlockVector::weight) {
      ByteReader in(opened.bytes, "weight");
      weight = in.u32();
    }
    ++position;
  });
  downloading_ = false;
  perform(machine_->handle(federation::AggregateStored{table.root, weight}));
  return true;
}

bool FakeSite::listen(std::chrono::milliseconds wait) {
  auto wire = road_.fetch(wait);
  if (!wire) return false;
  border::OpenedMessage message = border::open_message(*wire, self_, federation_.peers);
  if (message.header.exchange == machine_->terms().exchange) {
    if (message.header.type == MessageType::aggregate) opener_.emplace(message, federation_.peers);
    perform(
        machine_->handle(federation::Incoming{message.header, federation::protocol_body(message)}));
  }
  road_.acknowledge(message.digest);
  if (machine_->phase() == federation::SitePhase::closed) {
    begin(machine_->terms().exchange.round.next(), machine_->chain());
  }
  return true;
}

bool FakeSite::step(std::chrono::milliseconds wait) {
  if (done_) return false;
  try {
    if (!outgoing_.empty()) {
      road_.deliver(outgoing_.front());
      outgoing_.pop_front();
      if (machine_->terms().final) {
        machine_->handle(federation::FinalReadyAcknowledged{});
        done_ = true;
      }
      return true;
    }
    if (uploading_) return upload();
    if (downloading_) return download();
    return listen(wait);
  } catch (const Error& error) {
    if (error.code() != border::errors::road_down) throw;
    return false;
  }
}

}  // namespace concordat::coordinator::testing
