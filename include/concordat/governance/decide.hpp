// The policy decision point: permits exactly the crossings that roster, run agreement and manifest
// entail, and nothing else. Default is no.
//
//   PolicyContext context{.self = SiteId{0}, .sites = {SiteId{0}, SiteId{1}, SiteId{2}},
//                         .caps = caps_of(agreement), .exchange = exchange_now};
//   Request request{.kind = CrossingKind::cosign, .exchange = id, .manifest = digest,
//                   .recipient = coordinator_id, .bytes = plain.size() + 512};
//   auto written = permit(ledger, request, context);    // or Error(ledger.refused), recorded
//   auto envelope = seal_message(std::move(written), header, ...);
//
// The context is plain values because roster and agreement live on this floor; the roles (site,
// coordinator) fill it in. Pure functions but for permit(); any thread.
//
// Rules, in the order in which they are asked; the name is in the decision and in the ledger:
//   not_a_member       this party or the recipient is not in the roster
//   not_part_of_recovery_none   the message belongs to attempts or shares
//   wrong_direction    sites speak to the coordinator only, the coordinator to sites only; a
//                      donor's state goes from a site to another
//   not_a_recipient    this site's configuration gives its state to nobody, or to others
//   wrong_exchange     round outside of the run, fragment or attempt not 0, or not the exchange
//                      that is open here
//   exchange_closed    nothing new leaves for an exchange whose closing record is known
//   too_early          the exchange has not come to the point where this message is entailed
//   wrong_manifest     the manifest digest is not the one locked here (before: the agreement's)
//   not_a_participant  this party or the recipient is not in the manifest, and the next but one
//                      rule does not apply
//   too_large          more bytes than the agreement entails for this kind
//   catching_up        permitted: manifest, go, survivors, aggregate and closed of an exchange that
//                      every participant has received, to a site of the roster that it went without
//   donated            permitted: state of the exchange that is given, to a site that this one's
//                      configuration names
//   passed_on          permitted at the coordinator: a donor's state of a closed exchange
//   entailed           permitted
#pragma once

#include <string>
#include <vector>

#include "concordat/core/bytes.hpp"
#include "concordat/core/ids.hpp"
#include "concordat/ledger/decision.hpp"
#include "concordat/ledger/ledger.hpp"

namespace concordat::governance {

/// How far an exchange has come, as far as this party durably knows. Ordered.
enum class Stage : std::uint8_t {
  idle,             ///< nothing yet: a site may say `ready`
  manifest_known,   ///< made (coordinator) or checked and locked (site)
  all_cosigned,     ///< every participant's cosignature is checked
  committed,        ///< this site's upload is fixed
  survivors_known,  ///< every upload is here (coordinator), or the set is checked (site)
  aggregate_known,  ///< summed (coordinator), or durable and checked (site)
  all_received,     ///< every survivor's `received` is checked (coordinator)
  closed,
};
std::string_view name_of(Stage stage);

/// What the run agreement entails about sizes and rounds. Bounds are of sealed bytes: the roles
/// take them from border::sealed_message_bytes and FrameTable::all_frame_bytes of the agreement's
/// model.
struct AgreementCaps {
  std::uint32_t num_rounds = 0;           ///< a `ready` for this round proves the last state
  std::uint64_t max_message_bytes = 0;    ///< of a message without frames
  std::uint64_t max_upload_bytes = 0;     ///< header and all frames of one upload
  std::uint64_t max_aggregate_bytes = 0;  ///< the same downward
  std::uint64_t max_state_bytes = 0;      ///< of one message with a piece of a donor's state
  std::uint32_t max_state_messages = 0;   ///< that hold the whole of it
};

/// The state of a closed exchange that this site gives away. No agreement entails that: its own
/// configuration says to whom, and by default to nobody. At the coordinator: the exchange whose
/// state it is asked to pass on, as it closed it; nothing if it closed no such exchange.
struct DonationView {
  std::vector<SiteId> recipients;
  ExchangeId exchange{};
  Digest manifest{};
};

/// How the index of a `state` message counts: which donation of this exchange to this site, and
/// which of its messages.
inline constexpr std::uint32_t state_position_bits = 24;
constexpr std::uint32_t state_position(std::uint32_t index) {
  return index & ((1U << state_position_bits) - 1);
}
constexpr std::uint32_t state_serial(std::uint32_t index) { return index >> state_position_bits; }

/// The one exchange that is open at this party.
struct ExchangeView {
  ExchangeId id{};
  Stage stage = Stage::idle;
  Digest agreement{};                ///< of the run; stands for the manifest in ready and manifest
  Digest manifest{};                 ///< locked here; zero before Stage::manifest_known
  std::vector<SiteId> participants;  ///< of the manifest
};

struct PolicyContext {
  SiteId self{};              ///< coordinator_id for the coordinator
  std::vector<SiteId> sites;  ///< of the roster
  AgreementCaps caps;
  ExchangeView exchange;
  DonationView donation{};
};

struct Request {
  ledger::CrossingKind kind{};
  ExchangeId exchange{};
  Digest manifest{};  ///< as the message's header will say
  SiteId recipient{};
  std::uint64_t bytes = 0;  ///< sealed, with frames; an upper estimate will do
  std::uint32_t index = 0;
};

/// Pure. The decision's max_bytes is the cap for the kind, so that a restart decides the same.
ledger::Decision decide(const Request& request, const PolicyContext& context);

/// decide() and record. @throws Error(ledger.refused), exit code 77, once the refusal is durable.
ledger::Written<ledger::Decision> permit(ledger::Ledger& ledger, const Request& request,
                                         const PolicyContext& context);

}  // namespace concordat::governance
