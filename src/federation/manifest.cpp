#include "concordat/federation/manifest.hpp"

#include "concordat/core/error.hpp"
#include "concordat/federation/errors.hpp"
#include "concordat/federation/roster.hpp"
#include "federation/json.hpp"

namespace concordat::federation {
namespace {

constexpr std::string_view format = "concordat-manifest-v1";
constexpr std::uint64_t max_u32 = 0xffff'ffffU;
constexpr std::uint64_t max_u64 = 0xffff'ffff'ffff'ffffU;

JsonValue to_json(const Participant& participant) {
  const ReadyBody& ready = participant.ready;
  std::vector<std::string> path;
  for (const Digest& node : ready.consistency) path.push_back(node.hex());
  JsonValue json = JsonValue::object();
  json.add("site", participant.site.value()).add("round", ready.round.value());
  json.add("state", ready.state.hex());
  json.add("ledger_size", ready.ledger.size).add("ledger_root", ready.ledger.root.hex());
  json.add("ledger_consistency", path);
  json.add("mask", ready.mask.hex()).add("share", ready.share.hex());
  return json;
}

Participant to_participant(JsonObject& json) {
  Participant participant;
  participant.site = SiteId(static_cast<std::uint32_t>(json.integer("site", 0, max_sites - 1)));
  ReadyBody& ready = participant.ready;
  ready.round = Round(static_cast<std::uint32_t>(json.integer("round", 0, max_u32)));
  ready.state = json.digest("state");
  ready.ledger.size = json.integer("ledger_size", 0, max_u64);
  ready.ledger.root = json.digest("ledger_root");
  for (const std::string& node : json.texts("ledger_consistency", 64, 64)) {
    ready.consistency.push_back(digest_from_hex(node, json.where() + ": ledger_consistency"));
  }
  ready.mask = crypto::SealKey{json.digest("mask").bytes};
  ready.share = crypto::SealKey{json.digest("share").bytes};
  json.finish();
  return participant;
}

}  // namespace

std::vector<SiteId> Manifest::sites() const {
  std::vector<SiteId> all;
  for (const Participant& participant : participants) all.push_back(participant.site);
  return all;
}

Bytes encode(const Manifest& manifest) {
  std::vector<JsonValue> participants;
  for (const Participant& one : manifest.participants) participants.push_back(to_json(one));
  JsonValue json = JsonValue::object();
  json.add("format", std::string(format)).add("federation", manifest.federation.hex());
  json.add("round", manifest.exchange.round.value());
  json.add("fragment", manifest.exchange.fragment.value());
  json.add("attempt", manifest.exchange.attempt.value());
  json.add("roster", manifest.roster.hex()).add("agreement", manifest.agreement.hex());
  json.add("previous_closing", manifest.previous_closing.hex());
  json.add("state", manifest.state.hex()).add("threshold", manifest.threshold);
  json.add("participants", participants);
  return document_of(json);
}

Manifest parse_manifest(ByteView document, std::string_view where) {
  JsonObject root = JsonObject::parse(document, where);
  if (std::string found = root.text("format", 64); found != format) {
    throw Error(concordat::errors::malformed, {.what = "this is no manifest",
                                               .where = std::string(where),
                                               .found = found,
                                               .expected = std::string(format),
                                               .remedy = "check the coordinator's version"});
  }
  auto u32 = [&](const char* field) {
    return static_cast<std::uint32_t>(root.integer(field, 0, max_u32));
  };
  Manifest manifest;
  manifest.federation = root.digest("federation");
  manifest.exchange = {Round(u32("round")), Fragment(u32("fragment")), Attempt(u32("attempt"))};
  manifest.roster = root.digest("roster");
  manifest.agreement = root.digest("agreement");
  manifest.previous_closing = root.digest("previous_closing");
  manifest.state = root.digest("state");
  manifest.threshold = u32("threshold");
  for (JsonObject& one : root.objects("participants", max_sites)) {
    manifest.participants.push_back(to_participant(one));
  }
  root.finish();
  return manifest;
}

}  // namespace concordat::federation
