// Error codes of coordinator.
#pragma once

#include "concordat/core/error.hpp"

namespace concordat::coordinator::errors {

/// The keys in the folder are not the coordinator's in the roster.
inline constexpr ErrorCode not_coordinator{"coordinator.not_coordinator", Severity::process,
                                           ExitCode::usage};
/// A record of the exchange journal that this program did not write.
inline constexpr ErrorCode bad_journal{"coordinator.bad_journal", Severity::process,
                                       ExitCode::data};
/// The ledger has what a journal must have had before: journals are lost, cut or an older copy.
inline constexpr ErrorCode journal_lost{"coordinator.journal_lost", Severity::process,
                                        ExitCode::data};
/// A site is ready for a round that this coordinator has not begun: its folder is an older copy.
inline constexpr ErrorCode behind{"coordinator.behind", Severity::request, ExitCode::data};
/// A block frame that does not follow the one before it.
inline constexpr ErrorCode out_of_order{"coordinator.out_of_order", Severity::request,
                                        ExitCode::data};
/// Something is asked of an exchange that is not open, or not that far.
inline constexpr ErrorCode not_open{"coordinator.not_open", Severity::request, ExitCode::saved};
/// The aggregate of a round that a site missed is kept no longer: the site needs the state of
/// another one.
inline constexpr ErrorCode aggregate_gone{"coordinator.aggregate_gone", Severity::request,
                                          ExitCode::data};
/// A site's message to another that no policy lets through.
inline constexpr ErrorCode not_passed_on{"coordinator.not_passed_on", Severity::request,
                                         ExitCode::refused};
/// A donor is faster than its recipient: the donor waits.
inline constexpr ErrorCode relay_full{"coordinator.relay_full", Severity::request, ExitCode::saved};
/// A stored upload does not open any more: the disk changed it.
inline constexpr ErrorCode upload_damaged{"coordinator.upload_damaged", Severity::process,
                                          ExitCode::data};

}  // namespace concordat::coordinator::errors
