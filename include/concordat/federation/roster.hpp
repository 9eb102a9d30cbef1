// Roster: who is in the federation, under which keys. Everybody in it signs it.
//
//   Roster roster{.name = "three-seas", .sites = {alba, brio, cala}, .coordinator = hub,
//                 .address = "hub.example.org:7443"};
//   Bytes document = encode(roster);                       // sign, write, hand round
//   SignedRoster signed_roster = load_roster(fs, "roster.json");   // reads roster.json.sigs too
//   border::PeerDirectory peers = make_directory(signed_roster);
//   SiteId me = signed_roster.roster.id_of("alba");
//
// A site's id is its place in `sites`. The federation's id is the digest of version 1; this release
// reads version 1 only. Plain values; threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "concordat/border/peers.hpp"
#include "concordat/core/file.hpp"
#include "concordat/core/ids.hpp"
#include "concordat/crypto/key_files.hpp"
#include "concordat/federation/document.hpp"

namespace concordat::federation {

inline constexpr std::size_t max_sites = 1024;

struct Member {
  std::string name;
  std::string jurisdiction;  ///< as the site states it, such as "DE" or "EU/FR"
  crypto::VerifyKey verify{};
  crypto::SealKey seal{};
  crypto::VerifyKey tls{};
  crypto::VerifyKey log{};
  bool operator==(const Member&) const = default;
};
Member member_from(const crypto::PublicKeys& keys, std::string jurisdiction);

struct Roster {
  std::string name;  ///< of the federation
  std::uint32_t version = 1;
  std::vector<Member> sites;  ///< a site's id is its index
  Member coordinator;
  std::string address;  ///< HOST:PORT that sites dial unless their configuration says otherwise
  /// Roads that everybody allowed by signing, beside tls and spool, which always are: "mpi" or
  /// none.
  std::vector<std::string> roads{};
  bool operator==(const Roster&) const = default;

  std::uint32_t num_sites() const { return static_cast<std::uint32_t>(sites.size()); }
  /// Whether all parties may run in one mpirun, where nothing isolates them.
  bool allows_mpi_road() const { return !roads.empty(); }
  bool contains(SiteId id) const { return id == coordinator_id || id.value() < sites.size(); }
  /// @throws Error(federation.not_in_roster).
  const Member& at(SiteId id) const;
  SiteId id_of(std::string_view name) const;
  /// "alba (site 0)" or "hub (coordinator)".
  std::string text_of(SiteId id) const;
};

Bytes encode(const Roster& roster);
/// Strict: an unknown, missing or doubled field is refused. @throws Error(malformed |
/// federation.bad_roster).
Roster parse_roster(ByteView document, std::string_view where);

/// A roster whose every signature verified, with the exact bytes.
struct SignedRoster {
  Roster roster;
  Bytes document;
  Digest digest;
  /// Digest of version 1.
  const Digest& federation() const { return digest; }
};
SignedRoster open_roster(Bytes document, const Signatures& signatures, std::string_view where);
/// Reads `path` and `path`.sigs. @throws Error(malformed | federation.bad_roster |
/// federation.bad_signature | not_found).
SignedRoster load_roster(FileSystem& fs, const FileSystem::Path& path);

/// Sites and coordinator: who signs rosters and agreements.
std::vector<RequiredSigner> signers_of(const Roster& roster);

border::PeerDirectory make_directory(const SignedRoster& roster);

/// The member whose keys these are. @throws Error(federation.not_in_roster), which says which of
/// the four keys differs if only the name is right.
SiteId require_member(const SignedRoster& roster, const crypto::PublicKeys& keys);

}  // namespace concordat::federation
