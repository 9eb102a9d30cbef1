// Error codes of `site`.
#pragma once

#include "concordat/core/error.hpp"

namespace concordat::site::errors {

/// The run folder can be read or written by others, or belongs to somebody else.
inline constexpr ErrorCode open_run_folder{"site.open_run_folder", Severity::process,
                                           ExitCode::usage};
/// A file of the run folder does not say what its format asks for.
inline constexpr ErrorCode bad_run_file{"site.bad_run_file", Severity::process, ExitCode::data};
/// Masked blocks or aggregate blocks that do not hash to what COMMIT or CLOSED says.
inline constexpr ErrorCode block_digest{"site.block_digest", Severity::process, ExitCode::data};
/// The ranks of a site do not hold what the closing record or the agreement says.
inline constexpr ErrorCode state_differs{"site.state_differs", Severity::process, ExitCode::data};
/// A device quantises an update to other bits than the host, whose bits the error feedback has.
inline constexpr ErrorCode device_differs{"site.device_differs", Severity::process,
                                          ExitCode::internal};
/// An exchange that was committed before: nothing is masked again.
inline constexpr ErrorCode already_committed{"site.already_committed", Severity::process,
                                             ExitCode::data};

/// This site missed more rounds than the coordinator keeps aggregates of.
inline constexpr ErrorCode too_far_behind{"site.too_far_behind", Severity::process, ExitCode::data};
/// What a donor sent is not the state that the participants of the exchange cosigned.
inline constexpr ErrorCode state_refused{"site.state_refused", Severity::request, ExitCode::data};
/// This site has not what a donor has to give, or has it no more.
inline constexpr ErrorCode nothing_to_give{"site.nothing_to_give", Severity::request,
                                           ExitCode::data};
/// What the run needs is lost here, and a donor's state has not come yet.
inline constexpr ErrorCode needs_state{"site.needs_state", Severity::process, ExitCode::saved};
/// Jobs that begin at one place of the run again and again and get no further.
inline constexpr ErrorCode no_progress{"site.no_progress", Severity::process,
                                       ExitCode::no_progress};

}  // namespace concordat::site::errors
