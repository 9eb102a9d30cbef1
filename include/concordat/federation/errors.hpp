// Error codes of federation. A message that is refused changes nothing: the machine that refused it
// is as it was, and the sender is named.
#pragma once

#include "concordat/core/error.hpp"

namespace concordat::federation::errors {

/// A roster or agreement without a valid signature of a party that has to sign it, also because it
/// was edited after signing.
inline constexpr ErrorCode bad_signature{"federation.bad_signature", Severity::process,
                                         ExitCode::data};
/// A roster that contradicts itself: two sites of one name, a key used twice, too many sites.
inline constexpr ErrorCode bad_roster{"federation.bad_roster", Severity::process, ExitCode::data};
/// A road that the roster does not allow.
inline constexpr ErrorCode road_not_allowed{"federation.road_not_allowed", Severity::process,
                                            ExitCode::refused};
/// An agreement with a value outside its range, or made for another roster.
inline constexpr ErrorCode bad_agreement{"federation.bad_agreement", Severity::process,
                                         ExitCode::data};
/// A name, id or key that the roster does not have.
inline constexpr ErrorCode not_in_roster{"federation.not_in_roster", Severity::request,
                                         ExitCode::data};
/// A message that the exchange is not ready for; the sender may try again later.
inline constexpr ErrorCode out_of_turn{"federation.out_of_turn", Severity::request,
                                       ExitCode::saved};
/// A ready that came after the manifest was made without its site: the round goes on without it,
/// and what the site needs to catch up comes when the round is closed.
inline constexpr ErrorCode too_late{"federation.too_late", Severity::request, ExitCode::saved};
/// A message of an exchange from a site that its manifest does not name.
inline constexpr ErrorCode not_a_participant{"federation.not_a_participant", Severity::request,
                                             ExitCode::data};
/// A message of another exchange, manifest or recovery rule.
inline constexpr ErrorCode wrong_exchange{"federation.wrong_exchange", Severity::request,
                                          ExitCode::data};
/// Two different messages where the protocol allows one: evidence against the sender.
inline constexpr ErrorCode equivocation{"federation.equivocation", Severity::round, ExitCode::data};
/// A ready or manifest that states another shared model; the message names who differs.
inline constexpr ErrorCode state_differs{"federation.state_differs", Severity::round,
                                         ExitCode::data};
/// Readies that were accepted, and so cannot be taken back, state different models: this round can
/// never begin. The message names who differs.
inline constexpr ErrorCode accepted_states_differ{"federation.accepted_states_differ",
                                                  Severity::process, ExitCode::data};
/// A site's ledger is not an extension of what it showed before.
inline constexpr ErrorCode ledger_forked{"federation.ledger_forked", Severity::round,
                                         ExitCode::data};
/// A ready with a fresh key of small order, or with one that stands elsewhere too.
inline constexpr ErrorCode fresh_key_refused{"federation.fresh_key_refused", Severity::round,
                                             ExitCode::data};
/// A manifest that misstates the roster, the agreement, the chain of closings, the threshold, the
/// participants or this site's own ready.
inline constexpr ErrorCode manifest_refused{"federation.manifest_refused", Severity::round,
                                            ExitCode::data};
/// A cosignature, agreement or receipt that does not verify over the bytes that this party has.
inline constexpr ErrorCode statement_refused{"federation.statement_refused", Severity::round,
                                             ExitCode::data};
/// Block counts or sizes that are not those of the agreement.
inline constexpr ErrorCode table_refused{"federation.table_refused", Severity::round,
                                         ExitCode::data};
/// Survivors that leave out a participant or misstate this site's header.
inline constexpr ErrorCode survivors_refused{"federation.survivors_refused", Severity::round,
                                             ExitCode::data};
/// Sites or a closing record state different aggregates.
inline constexpr ErrorCode aggregate_differs{"federation.aggregate_differs", Severity::round,
                                             ExitCode::data};
/// A closing record that misstates manifest, survivors, weight or receipts.
inline constexpr ErrorCode closing_refused{"federation.closing_refused", Severity::round,
                                           ExitCode::data};

}  // namespace concordat::federation::errors
