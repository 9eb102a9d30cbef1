// SiteExchange: one site's side of one exchange, as a pure state machine (docs/protocol.md).
//
//   SiteExchange machine(terms, own_id, signer);
//   Effects effects = machine.handle(Start{ready});            // Send(ready)
//   effects = machine.handle(Incoming{header, manifest});      // checks, Send(cosign)
//   ...
//   if (machine.phase() == SitePhase::closed) chain = machine.chain();
//
// It reads no clock, file or key. handle() either accepts an event, or throws and is as before:
// Error(federation.*) or Error(malformed). A repetition of an accepted message has no effects.
// Threads: a value, one thread at a time.
#pragma once

#include <map>
#include <optional>

#include "concordat/federation/errors.hpp"
#include "concordat/federation/events.hpp"
#include "concordat/federation/terms.hpp"

namespace concordat::federation {

enum class SitePhase : std::uint8_t {
  idle,       ///< nothing said
  ready,      ///< waits for the manifest
  missed,     ///< the manifest is without this site: takes the record of the closed exchange
  cosigned,   ///< locked to one manifest; waits for go
  going,      ///< seeds are released; waits for the commit of the ranks
  committed,  ///< header said, frames go up; waits for survivors
  agreed,     ///< waits for the aggregate
  fetching,   ///< aggregate announced; waits until it is stored
  received,   ///< waits for the closing record
  closed,
  finished,  ///< final round: the state is proved
};
std::string_view name_of(SitePhase phase);

class SiteExchange {
 public:
  SiteExchange(ExchangeTerms terms, SiteId own, Signer signer);
  Effects handle(const Event& event);

  const ExchangeTerms& terms() const { return terms_; }
  SiteId own() const { return own_; }
  SitePhase phase() const { return phase_; }
  /// Zero until the manifest is cosigned.
  const Digest& manifest_digest() const { return manifest_digest_; }
  /// @pre the manifest is known: missed, cosigned or later.
  const Manifest& manifest() const;
  /// The manifest is known and does not name this site: it takes the aggregate, and no part.
  bool missed() const;
  /// The aggregate of a missed exchange was kept no longer: what proves it is here, it is not.
  bool forgone() const { return forgone_; }
  /// @pre ready or later.
  const ReadyBody& own_ready() const { return own_ready_; }
  /// @pre committed or later.
  const border::FrameTable& upload() const { return upload_.table; }
  /// @pre fetching or later.
  const border::FrameTable& aggregate() const { return aggregate_.table; }
  /// Empty until they are named.
  const SurvivorsBody& survivors() const { return survivors_; }
  /// @pre closed.
  const ClosedBody& closing() const { return closing_; }
  /// What the next round starts from. @pre closed.
  Chain chain() const;
  /// Everything the machine holds, in one canonical encoding: equal bytes, equal machines.
  Bytes snapshot() const;

 private:
  Effects on(const Start& event);
  Effects on(const Incoming& event);
  Effects on(const Committed& event);
  Effects on(const AggregateStored& event);
  Effects on(const Forgone& event);
  Effects on(const FinalReadyAcknowledged& event);
  Effects on(const UploadStored& event);
  Effects on(const Summed& event);
  Effects on(const Deadline& event);
  Effects on_manifest(ByteView body);
  Effects on_go(ByteView body);
  Effects on_survivors(ByteView body);
  Effects on_aggregate(ByteView body);
  Effects on_closed(ByteView body);
  bool repeats(border::MessageType type, ByteView body) const;
  void check_manifest(const Manifest& manifest) const;
  void check_participants(const Manifest& manifest) const;
  Send send(border::MessageType type, Bytes body) const;

  ExchangeTerms terms_;
  SiteId own_;
  Signer signer_;
  SitePhase phase_ = SitePhase::idle;
  ReadyBody own_ready_;
  std::map<border::MessageType, Digest> accepted_;  ///< digest of each accepted body
  Digest manifest_digest_;
  Manifest manifest_;
  TableBody upload_;
  SurvivorsBody survivors_;
  TableBody aggregate_;
  std::uint64_t total_weight_ = 0;
  bool forgone_ = false;
  ClosedBody closing_;
  Digest closing_digest_;
};

}  // namespace concordat::federation
