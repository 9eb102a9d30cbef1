#include "concordat/federation/terms.hpp"

#include <algorithm>

#include "concordat/core/error.hpp"
#include "concordat/crypto/dsse.hpp"
#include "concordat/crypto/hash.hpp"

namespace concordat::federation {
namespace {

constexpr std::uint32_t weight_lane_bytes = 4;

// Every statement begins alike; the DSSE type says which it is.
ByteWriter statement(const Digest& federation, const ExchangeId& exchange, const Digest& manifest) {
  ByteWriter out;
  out.digest(federation);
  out.u32(exchange.round.value());
  out.u32(exchange.fragment.value());
  out.u32(exchange.attempt.value());
  out.digest(manifest);
  return out;
}

}  // namespace

border::FrameTable ExchangeTerms::table(const Digest& root) const {
  border::FrameTable table;
  table.vectors[static_cast<std::size_t>(border::BlockVector::update)] =
      border::VectorShape::of(num_elements, std::uint64_t{1} << block_log2,
                              static_cast<std::uint32_t>(exact::lane_bytes(quantiser.lane)));
  table.vectors[static_cast<std::size_t>(border::BlockVector::weight)] =
      border::VectorShape::of(1, 1, weight_lane_bytes);
  table.root = root;
  return table;
}

std::string ExchangeTerms::text_of(SiteId site) const {
  std::string number = border::text_of(site);
  return site.value() < names.size() ? names[site.value()] + " (" + number + ")" : number;
}

std::string ExchangeTerms::text_of(const std::vector<SiteId>& sites) const {
  std::string text;
  for (const SiteId site : sites) text += (text.empty() ? "" : ", ") + text_of(site);
  return text;
}

ExchangeTerms exchange_terms(const SignedRoster& roster, const SignedAgreement& agreement,
                             Round round, const Chain& previous) {
  const RunAgreement& run = agreement.agreement;
  CONCORDAT_REQUIRE(round.value() <= run.rounds, std::to_string(round.value()));
  ExchangeTerms terms;
  terms.federation = roster.federation();
  terms.roster = roster.digest;
  terms.agreement = agreement.digest;
  terms.exchange = {round, Fragment{0}, Attempt{0}};
  for (const Member& site : roster.roster.sites) {
    terms.names.push_back(site.name);
    terms.keys.push_back(site.verify);
  }
  terms.previous = previous;
  terms.initial_state = run.initial_state;
  terms.final = round.value() == run.rounds;
  terms.minimum = run.minimum;
  terms.colluding = run.colluding;
  terms.weight_cap = run.weight_cap;
  terms.block_log2 = run.block_log2;
  terms.num_elements = run.num_elements;
  terms.quantiser = run.quantiser_of(round);
  return terms;
}

std::uint32_t threshold(std::uint32_t participants, std::uint32_t colluding) {
  return std::max(colluding + 2, (participants + colluding) / 2 + 1);
}

std::uint32_t least_participants(std::uint32_t num_sites, std::uint32_t minimum,
                                 std::uint32_t colluding) {
  return std::max({colluding + 2, minimum, threshold(num_sites, colluding)});
}

std::uint32_t most_state_messages(const ExchangeTerms& terms) {
  constexpr std::uint64_t vectors = 5;
  const std::uint64_t length = std::uint64_t{1} << terms.block_log2;
  const std::uint64_t blocks = (terms.num_elements + length - 1) / length;
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(1 + vectors * blocks, std::uint64_t{1} << 24U));
}

Bytes cosign_statement(const Digest& federation, const ExchangeId& exchange,
                       const Digest& manifest) {
  return crypto::dsse_pae("application/vnd.concordat.cosign.v1",
                          statement(federation, exchange, manifest).bytes());
}

Bytes agree_statement(const Digest& federation, const ExchangeId& exchange, const Digest& manifest,
                      const SurvivorsBody& survivors) {
  ByteWriter out = statement(federation, exchange, manifest);
  out.sized(encode(survivors));
  return crypto::dsse_pae("application/vnd.concordat.agree.v1", out.bytes());
}

Bytes received_statement(const Digest& federation, const ExchangeId& exchange,
                         const Digest& manifest, const Digest& survivors, const Digest& root,
                         std::uint64_t total_weight) {
  ByteWriter out = statement(federation, exchange, manifest);
  out.digest(survivors);
  out.digest(root);
  out.u64(total_weight);
  return crypto::dsse_pae("application/vnd.concordat.received.v1", out.bytes());
}

Digest header_digest(const Digest& federation, const ExchangeId& exchange, const Digest& manifest,
                     SiteId site, const TableBody& header) {
  ByteWriter out = statement(federation, exchange, manifest);
  out.u32(site.value());
  out.sized(encode(header));
  return crypto::sha256(crypto::dsse_pae("application/vnd.concordat.header.v1", out.bytes()));
}

}  // namespace concordat::federation
