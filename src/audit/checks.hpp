// The checks between ledgers; each counts what it looked at and reports what does not hold.
#pragma once

#include "audit/books.hpp"

namespace concordat::audit {

/// Heads that others recorded of a ledger against the ledger itself: roll-back, rewriting, forks.
void check_witnesses(const Books& books, Findings& findings);

/// One permitting decision before each crossing, in kind, exchange, manifest, recipient and bytes.
void check_decisions(const Books& books, Findings& findings);

/// Every crossing stands at both ends with the same content.
void check_matching(const Books& books, Findings& findings);

/// The steps of each exchange at each party: all there, once, in order; nothing released early.
void check_steps(const Books& books, Findings& findings);

/// Every given party, every party of a crossing and the participants of every manifest against the
/// roster; fills in report.not_given and report.has_roster and notes what is missing.
void check_roster(const Books& books, const AuditInput& input, Findings& findings,
                  AuditReport& report);

/// Cosignatures and `received` statements, in whichever ledger they stand, against the keys that
/// the roster has for their sites. Without a roster: none.
void check_signatures(const Books& books, const AuditInput& input, Findings& findings);

/// Aggregates that a site says it goes without: missed, let go by the coordinator, and made good by
/// a donor's state. Notes which they are.
void check_forgone(const Books& books, const AuditInput& input, Findings& findings);

/// Facts that all entries of an exchange or of the run must state alike. Fills in
/// report.exchanges and report.final_state.
void check_facts(const Books& books, const AuditInput& input, Findings& findings,
                 AuditReport& report);

}  // namespace concordat::audit
