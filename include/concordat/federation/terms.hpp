// ExchangeTerms: everything about one exchange that is known before its first message, taken from
// roster, agreement and the closing before. Both machines check against it.
//
//   Chain chain;                                                     // of round 0
//   ExchangeTerms terms = exchange_terms(roster, agreement, Round{0}, chain);
//   ... exchange ...
//   chain = machine.chain();                                         // into the next round
//
// Statements are the bytes that are signed inside messages; each names federation, exchange and
// manifest and has a DSSE type of its own. Plain values and pure functions.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "concordat/federation/agreement.hpp"
#include "concordat/federation/manifest.hpp"

namespace concordat::federation {

/// What one exchange hands to the next.
struct Chain {
  Digest closing{};                 ///< digest of the last closing record; zero before round 0
  std::vector<ledger::Head> heads;  ///< of each site's ledger in its last ready; empty before
  bool operator==(const Chain&) const = default;
};

struct ExchangeTerms {
  Digest federation{};
  Digest roster{};
  Digest agreement{};
  ExchangeId exchange{};
  std::vector<std::string> names{};       ///< by site id
  std::vector<crypto::VerifyKey> keys{};  ///< by site id
  Chain previous{};
  Digest initial_state{};
  bool final = false;  ///< the round after the last: `ready` proves the state and starts nothing
  std::uint32_t minimum = 0;
  std::uint32_t colluding = 1;
  std::uint32_t weight_cap = 1;
  std::uint32_t block_log2 = 20;
  std::uint64_t num_elements = 0;
  exact::Quantiser quantiser{};

  std::uint32_t num_sites() const { return static_cast<std::uint32_t>(names.size()); }
  /// The blocks of an upload or aggregate, with this root.
  border::FrameTable table(const Digest& root) const;
  /// "alba (site 0)".
  std::string text_of(SiteId site) const;
  /// "alba (site 0), brio (site 1)".
  std::string text_of(const std::vector<SiteId>& sites) const;
};

/// @pre round <= agreement.rounds (equal: the final ready).
ExchangeTerms exchange_terms(const SignedRoster& roster, const SignedAgreement& agreement,
                             Round round, const Chain& previous);

/// Fewest survivors of n participants: max(c + 2, floor((n + c) / 2) + 1).
std::uint32_t threshold(std::uint32_t participants, std::uint32_t colluding);

/// Fewest participants of a manifest: max(c + 2, the agreement's minimum, the threshold of the
/// whole roster). Two manifests of one exchange have more than c sites in common then, one of them
/// honest, and that one cosigns no second.
std::uint32_t least_participants(std::uint32_t num_sites, std::uint32_t minimum,
                                 std::uint32_t colluding);

/// Most messages that a donor's state takes: its contents, then one for each block of the model, of
/// up to two outer moments, of the scales and of the aggregate.
std::uint32_t most_state_messages(const ExchangeTerms& terms);

/// Ed25519 over a statement; a machine holds no key. Deterministic, so a replay signs the same.
using Signer = std::function<crypto::Signature(ByteView statement)>;

Bytes cosign_statement(const Digest& federation, const ExchangeId& exchange,
                       const Digest& manifest);
Bytes agree_statement(const Digest& federation, const ExchangeId& exchange, const Digest& manifest,
                      const SurvivorsBody& survivors);
/// `survivors` is the digest of the body of 7, so that `closed` proves that all sites had the same.
Bytes received_statement(const Digest& federation, const ExchangeId& exchange,
                         const Digest& manifest, const Digest& survivors, const Digest& root,
                         std::uint64_t total_weight);
/// Identity of an upload in `survivors`: exchange, manifest, site and table, not the frame key.
Digest header_digest(const Digest& federation, const ExchangeId& exchange, const Digest& manifest,
                     SiteId site, const TableBody& header);

/// What a header of types 1 and 2 carries for a manifest digest: there is no manifest yet, and what
/// was said in one run must not pass for a contradiction in another run of the same roster.
bool names_agreement(border::MessageType type);

/// The message is of this run and, in the open exchange, under `manifest` (zero: none is locked).
/// To be called before a message is held against what was received before.
/// @throws Error(federation.wrong_exchange).
void check_run(const ExchangeTerms& terms, const border::Header& header, const Digest& manifest);

}  // namespace concordat::federation
