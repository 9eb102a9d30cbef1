// PeerDirectory: the keys of everyone in the federation, as plain values. The border knows no
// roster: `federation` makes a directory from one.
//
//   PeerDirectory peers(federation_id);
//   peers.add(SiteId{0}, {"alba", verify, seal, tls});
//   peers.add(coordinator_id, {"coordinator", verify, seal, tls});
//   const Peer& alba = peers.at(SiteId{0});
//   Identity me{SiteId{0}, keys.signing, keys.sealing};
//
// Threads: const use from any. Cost: look-ups are logarithmic.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "concordat/core/ids.hpp"
#include "concordat/crypto/keys.hpp"

namespace concordat::border {

struct Peer {
  std::string name;
  crypto::VerifyKey verify{};
  crypto::SealKey seal{};
  crypto::VerifyKey tls{};
};

class PeerDirectory {
 public:
  explicit PeerDirectory(const Digest& federation) : federation_(federation) {}
  /// @throws Error(unknown_peer) if the id or one of the keys is there already.
  void add(SiteId id, Peer peer);
  const Digest& federation() const { return federation_; }
  /// @throws Error(unknown_peer).
  const Peer& at(SiteId id) const;
  bool contains(SiteId id) const { return peers_.contains(id); }
  std::optional<SiteId> find_verify(const crypto::VerifyKey& key) const;
  std::optional<SiteId> find_seal(const crypto::SealKey& key) const;
  std::optional<SiteId> find_tls(const crypto::VerifyKey& key) const;
  /// All ids but the coordinator's, ascending.
  std::vector<SiteId> sites() const;

 private:
  Digest federation_;
  std::map<SiteId, Peer> peers_;
  std::map<crypto::VerifyKey, SiteId> by_verify_;
  std::map<crypto::SealKey, SiteId> by_seal_;
  std::map<crypto::VerifyKey, SiteId> by_tls_;
};

/// Who this process is: the private halves of its own directory entry. Borrows; keep the keys
/// alive.
struct Identity {
  SiteId id;
  const crypto::SigningKey& signing;
  const crypto::OpeningKey& sealing;
};

}  // namespace concordat::border
