// The `mpi` back end. No function of MPI that it calls blocks.
#pragma once

#include <memory>

#include "comm/transport.hpp"

namespace concordat::comm {

/// Collective over all ranks of the MPI job. @pre MPI is initialised.
/// @throws Error(comm.mpi_unsuitable | comm.mpi_failed).
std::shared_ptr<Transport> make_mpi_transport(const CommOptions& options);

/// Collective: sends what is kept and gives the handles back. False, and nothing freed, if any
/// rank failed before, or did not come within the stall timeout; `patient` waits for as long as
/// the others take, which are other parties with work of their own.
bool close_mpi_transport(Transport& transport, bool patient) noexcept;

}  // namespace concordat::comm
