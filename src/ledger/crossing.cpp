// Crossings: the entries that stand at both ends of every object that crosses a border.
#include <algorithm>
#include <array>

#include "concordat/ledger/entries.hpp"
#include "concordat/ledger/errors.hpp"
#include "ledger/text.hpp"

namespace concordat::ledger {
namespace {

constexpr std::array all_kinds = {
    CrossingKind::ready,     CrossingKind::manifest,       CrossingKind::cosign,
    CrossingKind::go,        CrossingKind::header,         CrossingKind::survivors,
    CrossingKind::agree,     CrossingKind::unmask_request, CrossingKind::unmask,
    CrossingKind::aggregate, CrossingKind::received,       CrossingKind::closed,
    CrossingKind::withdraw,  CrossingKind::state_blocks};

/// The fields that every crossing begins with, in this order; `decision` only where it is sent.
constexpr std::array frame_names = {"direction", "exchange", "manifest",      "from",       "to",
                                    "index",     "digest",   "message_bytes", "frame_bytes"};

std::uint64_t number_at(const Entry& entry, std::string_view name, std::uint64_t max,
                        std::string_view where) {
  const std::string& text = entry.at(name);
  const auto value = parse_decimal(text);
  if (!value || *value > max) {
    throw Error(errors::malformed, {.what = "field '" + std::string(name) + "' is no such number",
                                    .where = std::string(where),
                                    .found = "'" + text + "'",
                                    .expected = "a decimal number up to " + std::to_string(max),
                                    .remedy = {}});
  }
  return *value;
}

}  // namespace

ExchangeId exchange_from(std::string_view text, std::string_view where) {
  std::array<std::uint32_t, 3> numbers{};
  std::string_view rest = text;
  for (std::size_t i = 0; i < 3; ++i) {
    const std::size_t end = i < 2 ? rest.find('.') : rest.size();
    const auto value = end == rest.npos ? std::nullopt : parse_decimal(rest.substr(0, end));
    if (!value || *value > 0xffff'ffffU) {
      throw Error(errors::malformed, {.what = "no exchange",
                                      .where = std::string(where),
                                      .found = "'" + std::string(text) + "'",
                                      .expected = "ROUND.FRAGMENT.ATTEMPT",
                                      .remedy = {}});
    }
    numbers[i] = static_cast<std::uint32_t>(*value);
    if (i < 2) rest.remove_prefix(end + 1);
  }
  return {Round{numbers[0]}, Fragment{numbers[1]}, Attempt{numbers[2]}};
}

std::string entry_kind(CrossingKind kind) {
  return kind == CrossingKind::header ? std::string(kinds::upload) : name_of(kind);
}

bool is_crossing(std::string_view kind_text, CrossingKind* kind) {
  for (const CrossingKind candidate : all_kinds) {
    if (entry_kind(candidate) != kind_text) continue;
    if (kind != nullptr) *kind = candidate;
    return true;
  }
  return false;
}

Entry crossing_entry(const Crossing& crossing) {
  const bool out = crossing.direction == Direction::out;
  const std::string direction = out ? "out" : "in";
  const std::string kind = entry_kind(crossing.kind);
  Entry entry{.kind = kind,
              .key = kind + "/" + direction + "/" + crossing.exchange.text() + "/" +
                     party(crossing.from) + "/" + party(crossing.to) + "/" +
                     std::to_string(crossing.index),
              .fields = {{"direction", direction},
                         {"exchange", crossing.exchange.text()},
                         {"manifest", crossing.manifest.hex()},
                         {"from", party(crossing.from)},
                         {"to", party(crossing.to)},
                         {"index", std::to_string(crossing.index)},
                         {"digest", crossing.digest.hex()},
                         {"message_bytes", std::to_string(crossing.message_bytes)},
                         {"frame_bytes", std::to_string(crossing.frame_bytes)}}};
  CONCORDAT_REQUIRE(out != crossing.decision.empty(), "decision '" + crossing.decision + "'");
  if (out) entry.fields.emplace_back("decision", crossing.decision);
  entry.fields.insert(entry.fields.end(), crossing.facts.begin(), crossing.facts.end());
  return entry;
}

Crossing crossing_from(const Entry& entry, std::string_view where) {
  Crossing crossing;
  if (!is_crossing(entry.kind, &crossing.kind)) {
    throw Error(errors::malformed, {.what = "no crossing",
                                    .where = std::string(where),
                                    .found = "kind '" + entry.kind + "'",
                                    .expected = "the kind of a message",
                                    .remedy = {}});
  }
  const bool out = entry.at("direction") == "out";
  crossing.direction = out ? Direction::out : Direction::in;
  crossing.exchange = exchange_from(entry.at("exchange"), where);
  crossing.manifest = digest_from_hex(entry.at("manifest"), where);
  crossing.from = party_from(entry.at("from"), where);
  crossing.to = party_from(entry.at("to"), where);
  crossing.index = static_cast<std::uint32_t>(number_at(entry, "index", 0xffff'ffffU, where));
  crossing.digest = digest_from_hex(entry.at("digest"), where);
  crossing.message_bytes = number_at(entry, "message_bytes", ~std::uint64_t{0}, where);
  crossing.frame_bytes = number_at(entry, "frame_bytes", ~std::uint64_t{0}, where);
  if (out) crossing.decision = entry.at("decision");
  const std::size_t frame = frame_names.size() + (out ? 1 : 0);
  crossing.facts.assign(
      entry.fields.begin() + static_cast<std::ptrdiff_t>(std::min(frame, entry.fields.size())),
      entry.fields.end());
  // One reading only: what the builder would write from this must be what was read.
  const bool has_decision = crossing.decision.empty() != out;
  Entry again = has_decision ? crossing_entry(crossing) : Entry{};
  again.key.insert(0, scope_of(entry.key));
  if (again != entry) {
    throw Error(errors::malformed, {.what = "the crossing is not in its one form",
                                    .where = std::string(where),
                                    .found = "key " + entry.key,
                                    .expected = "fields and key as crossing_entry() makes them",
                                    .remedy = {}});
  }
  return crossing;
}

Fields ready_facts(const Digest& state, const Head& own_ledger) {
  return {{"state", state.hex()},
          {"ledger_size", std::to_string(own_ledger.size)},
          {"ledger_root", own_ledger.root.hex()}};
}

Fields manifest_facts(const ManifestFacts& facts) {
  Fields fields{{"document", facts.document.hex()},
                {"roster", facts.roster.hex()},
                {"agreement", facts.agreement.hex()},
                {"state", facts.state.hex()},
                {"previous_closing", facts.previous_closing.hex()},
                {"threshold", std::to_string(facts.threshold)},
                {"participants", parties(facts.participants)}};
  for (const PartyHead& seen : facts.heads) {
    fields.emplace_back("ledger " + party(seen.party),
                        std::to_string(seen.head.size) + " " + seen.head.root.hex());
  }
  return fields;
}

Fields upload_facts(const Digest& root, std::uint64_t num_blocks) {
  return {{"root", root.hex()}, {"num_blocks", std::to_string(num_blocks)}};
}

Fields survivors_facts(const Digest& document, std::span<const SiteId> survivors) {
  return {{"document", document.hex()}, {"survivors", parties(survivors)}};
}

Fields state_facts(const Digest& state) { return {{"state", state.hex()}}; }

Entry passed_on_entry(const PassedOn& message) {
  return {.kind = std::string(kinds::passed_on),
          .key = std::string(kinds::passed_on) + "/" + message.exchange.text() + "/" +
                 party(message.from) + "/" + party(message.to) + "/" +
                 std::to_string(message.index),
          .fields = {{"type", name_of(message.kind)},
                     {"exchange", message.exchange.text()},
                     {"from", party(message.from)},
                     {"to", party(message.to)},
                     {"index", std::to_string(message.index)},
                     {"digest", message.digest.hex()},
                     {"message_bytes", std::to_string(message.message_bytes)}}};
}

Entry forgone_entry(const ForgoneFacts& facts) {
  return {
      .kind = std::string(kinds::forgone),
      .key = std::string(kinds::forgone) + "/" + facts.exchange.text() + "/" + party(facts.site),
      .fields = {{"exchange", facts.exchange.text()},
                 {"manifest", facts.manifest.hex()},
                 {"site", party(facts.site)},
                 {"root", facts.root.hex()}}};
}

Fields aggregate_facts(const Digest& root) { return {{"root", root.hex()}}; }

Fields cosign_facts(const crypto::Signature& signature) {
  return {{"signature", to_hex(signature)}};
}

Fields received_facts(const Digest& root, std::uint64_t tokens,
                      const crypto::Signature& signature) {
  return {
      {"root", root.hex()}, {"tokens", std::to_string(tokens)}, {"signature", to_hex(signature)}};
}

Fields closed_facts(const Digest& document, const Digest& root, std::uint64_t tokens,
                    std::span<const SiteId> survivors) {
  return {{"document", document.hex()},
          {"root", root.hex()},
          {"tokens", std::to_string(tokens)},
          {"survivors", parties(survivors)}};
}

}  // namespace concordat::ledger
