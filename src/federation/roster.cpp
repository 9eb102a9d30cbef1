#include "concordat/federation/roster.hpp"

#include <set>

#include "concordat/core/error.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/federation/errors.hpp"
#include "federation/json.hpp"

namespace concordat::federation {
namespace {

constexpr std::size_t max_text_bytes = 256;
constexpr std::string_view format = "concordat-roster-v1";

[[noreturn]] void refuse(std::string_view where, std::string what, std::string found,
                         std::string expected) {
  throw Error(errors::bad_roster, {.what = std::move(what),
                                   .where = std::string(where),
                                   .found = std::move(found),
                                   .expected = std::move(expected),
                                   .remedy = "correct the roster and let everybody sign it again"});
}

JsonValue to_json(const Member& member) {
  JsonValue json = JsonValue::object();
  json.add("name", member.name).add("jurisdiction", member.jurisdiction);
  json.add("verify", member.verify.hex()).add("seal", member.seal.hex());
  json.add("tls", member.tls.hex()).add("log", member.log.hex());
  return json;
}

Member to_member(JsonObject& json) {
  Member member;
  member.name = json.text("name", 32);
  crypto::require_site_name(member.name, json.where());
  member.jurisdiction = json.text("jurisdiction", max_text_bytes);
  member.verify = crypto::VerifyKey{json.digest("verify").bytes};
  member.seal = crypto::SealKey{json.digest("seal").bytes};
  member.tls = crypto::VerifyKey{json.digest("tls").bytes};
  member.log = crypto::VerifyKey{json.digest("log").bytes};
  json.finish();
  return member;
}

// A key used twice would let one party speak as another, or one purpose serve for another.
void check_distinct(const Roster& roster, std::string_view where) {
  std::set<std::string> seen;
  auto add = [&](const std::string& value, const Member& member, const char* what) {
    if (!seen.insert(value).second) {
      refuse(where, "the roster has one " + std::string(what) + " twice",
             member.name + ": " + value, "distinct names and keys");
    }
  };
  auto add_member = [&](const Member& member) {
    add(member.name, member, "name");
    add(member.verify.hex(), member, "key");
    add(member.seal.hex(), member, "key");
    add(member.tls.hex(), member, "key");
    add(member.log.hex(), member, "key");
  };
  for (const Member& site : roster.sites) add_member(site);
  add_member(roster.coordinator);
}

}  // namespace

Member member_from(const crypto::PublicKeys& keys, std::string jurisdiction) {
  return {keys.name, std::move(jurisdiction), keys.verify, keys.seal, keys.tls, keys.log};
}

const Member& Roster::at(SiteId id) const {
  if (id == coordinator_id) return coordinator;
  if (id.value() >= sites.size()) {
    throw Error(errors::not_in_roster, {.what = "a site is not in the roster",
                                        .where = "roster of " + name,
                                        .found = "site " + std::to_string(id.value()),
                                        .expected = "0 to " + std::to_string(sites.size() - 1),
                                        .remedy = "check which roster the sender uses"});
  }
  return sites[id.value()];
}

SiteId Roster::id_of(std::string_view wanted) const {
  if (coordinator.name == wanted) return coordinator_id;
  std::string known;
  for (std::size_t i = 0; i < sites.size(); ++i) {
    if (sites[i].name == wanted) return SiteId(static_cast<std::uint32_t>(i));
    known += (i == 0 ? "" : ", ") + sites[i].name;
  }
  throw Error(errors::not_in_roster, {.what = "no party of the roster has this name",
                                      .where = "roster of " + name,
                                      .found = std::string(wanted),
                                      .expected = known + " or " + coordinator.name,
                                      .remedy = "check the name in the configuration"});
}

std::string Roster::text_of(SiteId id) const {
  if (id == coordinator_id) return coordinator.name + " (coordinator)";
  std::string number = "site " + std::to_string(id.value());
  return id.value() < sites.size() ? sites[id.value()].name + " (" + number + ")" : number;
}

Bytes encode(const Roster& roster) {
  std::vector<JsonValue> sites;
  for (const Member& site : roster.sites) sites.push_back(to_json(site));
  JsonValue json = JsonValue::object();
  json.add("format", std::string(format)).add("name", roster.name);
  json.add("version", roster.version).add("sites", sites);
  json.add("coordinator", to_json(roster.coordinator)).add("address", roster.address);
  // Left out when empty, so that rosters without it keep their digests.
  if (!roster.roads.empty()) {
    json.add("roads", std::vector<JsonValue>(roster.roads.begin(), roster.roads.end()));
  }
  return document_of(json);
}

Roster parse_roster(ByteView document, std::string_view where) {
  JsonObject root = JsonObject::parse(document, where);
  if (std::string found = root.text("format", max_text_bytes); found != format) {
    refuse(where, "this is no roster", found, std::string(format));
  }
  Roster roster;
  roster.name = root.text("name", max_text_bytes);
  roster.version = static_cast<std::uint32_t>(root.integer("version", 1, 0xffff'ffffU));
  if (roster.version != 1) {
    refuse(where, "this release reads rosters of version 1 only", std::to_string(roster.version),
           "1");
  }
  for (JsonObject& site : root.objects("sites", max_sites)) roster.sites.push_back(to_member(site));
  if (roster.sites.empty()) refuse(where, "the roster has no site", "none", "at least one");
  JsonObject coordinator = root.object("coordinator");
  roster.coordinator = to_member(coordinator);
  roster.address = root.text("address", max_text_bytes);
  if (root.has("roads")) {
    roster.roads = root.texts("roads", 1, max_text_bytes);
    if (roster.roads != std::vector<std::string>{"mpi"}) {
      refuse(where, "the roster allows a road that needs no leave or does not exist",
             roster.roads.empty() ? "an empty list" : roster.roads.front(),
             "\"roads\": [\"mpi\"], or no such field");
    }
  }
  root.finish();
  check_distinct(roster, where);
  return roster;
}

SignedRoster open_roster(Bytes document, const Signatures& signatures, std::string_view where) {
  SignedRoster result;
  result.roster = parse_roster(document, where);
  verify_document(DocumentKind::roster, document, signatures, signers_of(result.roster), where);
  result.digest = crypto::sha256(document);
  result.document = std::move(document);
  return result;
}

SignedRoster load_roster(FileSystem& fs, const FileSystem::Path& path) {
  FileSystem::Path sigs = signatures_path(path);
  return open_roster(read_file(fs, path, max_document_bytes),
                     parse_signatures(read_file(fs, sigs, max_document_bytes), sigs.string()),
                     path.string());
}

std::vector<RequiredSigner> signers_of(const Roster& roster) {
  std::vector<RequiredSigner> signers;
  for (const Member& site : roster.sites) signers.push_back({site.name, site.verify});
  signers.push_back({roster.coordinator.name, roster.coordinator.verify});
  return signers;
}

border::PeerDirectory make_directory(const SignedRoster& roster) {
  border::PeerDirectory peers(roster.federation());
  auto add = [&](SiteId id, const Member& member) {
    peers.add(id, {member.name, member.verify, member.seal, member.tls});
  };
  for (std::uint32_t i = 0; i < roster.roster.num_sites(); ++i) {
    add(SiteId(i), roster.roster.sites[i]);
  }
  add(coordinator_id, roster.roster.coordinator);
  return peers;
}

SiteId require_member(const SignedRoster& roster, const crypto::PublicKeys& keys) {
  SiteId id = roster.roster.id_of(keys.name);
  const Member& member = roster.roster.at(id);
  auto check = [&](const char* what, const std::string& own, const std::string& listed) {
    if (own == listed) return;
    throw Error(errors::not_in_roster,
                {.what = "the roster has another " + std::string(what) + " key for " + keys.name,
                 .where = "roster of " + roster.roster.name,
                 .found = own,
                 .expected = listed,
                 .remedy = "use the keys that were given to the roster's makers"});
  };
  check("signing", keys.verify.hex(), member.verify.hex());
  check("sealing", keys.seal.hex(), member.seal.hex());
  check("TLS", keys.tls.hex(), member.tls.hex());
  check("log", keys.log.hex(), member.log.hex());
  return id;
}

}  // namespace concordat::federation
