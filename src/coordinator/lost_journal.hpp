// Whether the journals are there that the ledger tells of.
#pragma once

#include "concordat/ledger/ledger.hpp"
#include "coordinator/exchange_files.hpp"

namespace concordat::coordinator {

/// Every message stands in its exchange's journal before it stands in the ledger. A coordinator
/// that lost journals would begin the run again, or say a second time what it said, and sites would
/// wait for ever. @pre the run's `agreement` entry went through `ledger`.
/// @throws Error(coordinator.journal_lost), before anything is said.
void require_journals(const CoordinatorFolder& folder, const ledger::Ledger& ledger,
                      std::uint32_t num_sites);

}  // namespace concordat::coordinator
