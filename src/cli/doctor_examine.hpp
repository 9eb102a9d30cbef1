// The whole examination, in order.
#pragma once

#include "cli/doctor_subject.hpp"
#include "concordat/comm/communicator.hpp"

namespace concordat::cli::doctor {

/// Collective over `comm`: every rank with the same options. `begun` is what rank 0 has found
/// before. Calls `print` on rank 0 with all findings and returns the same exit code on all ranks.
/// @throws Error(comm.stalled | comm.peer_failed) after rank 0 has printed: the ranks are to leave
/// through Runtime::abort.
ExitCode examine(comm::Communicator& comm, const Options& options, Findings begun,
                 const std::function<void(const Findings&)>& print);

}  // namespace concordat::cli::doctor
