#include "concordat/border/peers.hpp"

#include "concordat/border/errors.hpp"
#include "concordat/border/header.hpp"

namespace concordat::border {
namespace {

template <typename Map, typename Key>
std::optional<SiteId> find_in(const Map& map, const Key& key) {
  auto it = map.find(key);
  if (it == map.end()) return std::nullopt;
  return it->second;
}

}  // namespace

void PeerDirectory::add(SiteId id, Peer peer) {
  if (peers_.contains(id) || by_verify_.contains(peer.verify) || by_seal_.contains(peer.seal) ||
      by_tls_.contains(peer.tls)) {
    throw Error(errors::unknown_peer, {.what = "an id or a key stands twice in the directory",
                                       .where = peer.name + " (" + text_of(id) + ")",
                                       .found = "a second entry",
                                       .expected = "one entry for each id and for each key",
                                       .remedy = "give every site keys of its own"});
  }
  by_verify_.emplace(peer.verify, id);
  by_seal_.emplace(peer.seal, id);
  by_tls_.emplace(peer.tls, id);
  peers_.emplace(id, std::move(peer));
}

const Peer& PeerDirectory::at(SiteId id) const {
  auto it = peers_.find(id);
  if (it == peers_.end()) {
    throw Error(errors::unknown_peer, {.what = "there is no such peer in the directory",
                                       .where = "federation " + federation_.hex(),
                                       .found = text_of(id),
                                       .expected = "one of " + std::to_string(peers_.size()),
                                       .remedy = "check the roster"});
  }
  return it->second;
}

std::optional<SiteId> PeerDirectory::find_verify(const crypto::VerifyKey& key) const {
  return find_in(by_verify_, key);
}
std::optional<SiteId> PeerDirectory::find_seal(const crypto::SealKey& key) const {
  return find_in(by_seal_, key);
}
std::optional<SiteId> PeerDirectory::find_tls(const crypto::VerifyKey& key) const {
  return find_in(by_tls_, key);
}

std::vector<SiteId> PeerDirectory::sites() const {
  std::vector<SiteId> ids;
  for (const auto& [id, peer] : peers_) {
    if (id != coordinator_id) ids.push_back(id);
  }
  return ids;
}

}  // namespace concordat::border
