// CoordinatorExchange: the coordinator's side of one exchange, as a pure state machine
// (docs/protocol.md).
//
//   CoordinatorExchange machine(terms);
//   for (const Effect& effect : machine.handle(Incoming{header, ready})) perform(effect);
//   ...
//   machine.handle(UploadStored{SiteId{2}});         // the last one: Send(survivors) to all
//   machine.handle(Summed{table, total_weight});     // Send(aggregate) to all
//   if (machine.phase() == CoordinatorPhase::closed) chain = machine.chain();
//
// A manifest names all sites, or after a Deadline those that are ready (least_participants() of
// them). Its participants have to stay to the end. What the others need to catch up
// (2, 4, 7, 11 and 13) is said to them when the exchange is closed.
//
// It holds no key: what it says is signed by the envelope, and what sites sign it passes on.
// handle() accepts an event, or throws and is as before. Threads: one at a time.
#pragma once

#include <optional>

#include "concordat/federation/errors.hpp"
#include "concordat/federation/events.hpp"
#include "concordat/federation/terms.hpp"

namespace concordat::federation {

enum class CoordinatorPhase : std::uint8_t {
  gathering,  ///< waits for every ready, or for a Deadline
  cosigning,  ///< manifest said; waits for every cosignature
  uploading,  ///< go said; waits for every header and its frames
  agreeing,   ///< survivors said; waits for every agree
  summing,    ///< waits for the sum
  receiving,  ///< aggregate said; waits for every received
  closed,
  finished,  ///< final round: every site proved the same state
};
std::string_view name_of(CoordinatorPhase phase);

class CoordinatorExchange {
 public:
  explicit CoordinatorExchange(ExchangeTerms terms);
  Effects handle(const Event& event);

  const ExchangeTerms& terms() const { return terms_; }
  CoordinatorPhase phase() const { return phase_; }
  /// Zero until the manifest is made.
  const Digest& manifest_digest() const { return manifest_digest_; }
  const Manifest& manifest() const { return manifest_; }
  /// Whether the site's ready was accepted.
  bool is_ready(SiteId site) const { return sites_.at(site.value()).ready.has_value(); }
  /// Sites of the roster that the manifest leaves out, ascending; none before it is made.
  std::vector<SiteId> missed() const;
  /// Whether a Deadline would make the manifest now: some site is missing and enough are there.
  bool may_go_on() const;
  /// Sites that the present phase still waits for, ascending.
  std::vector<SiteId> waiting_for() const;
  /// @pre its header was accepted.
  const border::FrameTable& upload(SiteId site) const;
  /// Empty until they are named.
  const SurvivorsBody& survivors() const { return survivors_; }
  /// @pre closed.
  const ClosedBody& closing() const { return closing_; }
  Chain chain() const;
  Bytes snapshot() const;

 private:
  struct SiteState {
    std::optional<ReadyBody> ready;
    std::optional<crypto::Signature> cosign;
    std::optional<TableBody> header;
    bool stored = false;
    std::optional<crypto::Signature> agree;
    std::optional<ReceivedBody> received;
  };
  Effects on(const Start& event);
  Effects on(const Incoming& event);
  Effects on(const Committed& event);
  Effects on(const AggregateStored& event);
  Effects on(const Forgone& event);
  Effects on(const FinalReadyAcknowledged& event);
  Effects on(const UploadStored& event);
  Effects on(const Summed& event);
  Effects on(const Deadline& event);
  Effects on_ready(SiteId site, ByteView body);
  Effects on_cosign(SiteId site, ByteView body);
  Effects on_header(SiteId site, ByteView body);
  Effects on_agree(SiteId site, ByteView body);
  Effects on_received(SiteId site, ByteView body);
  void check_states(SiteId newest, const ReadyBody& ready,
                    const std::vector<Participant>& accepted) const;
  std::vector<SiteId> in_question() const;
  std::vector<Participant> ready_sites() const;
  Effects make_manifest();
  GoBody go() const;
  Send send(SiteId to, border::MessageType type, const Bytes& body) const;
  Effects broadcast(border::MessageType type, const Bytes& body) const;
  void catch_up(SiteId site, Effects& effects) const;

  ExchangeTerms terms_;
  CoordinatorPhase phase_ = CoordinatorPhase::gathering;
  std::vector<SiteState> sites_;
  Manifest manifest_;
  Digest manifest_digest_;
  SurvivorsBody survivors_;
  TableBody aggregate_;
  std::uint64_t total_weight_ = 0;
  ClosedBody closing_;
  Digest closing_digest_;
};

}  // namespace concordat::federation
