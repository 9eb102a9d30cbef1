#include "concordat/audit/audit.hpp"

#include <algorithm>

#include "audit/books.hpp"
#include "audit/checks.hpp"
#include "audit/findings.hpp"

namespace concordat::audit {

AuditReport run_audit(FileSystem& fs, const AuditInput& input) {
  AuditReport report;
  Findings findings(report);
  Books books = read_books(fs, input, findings);
  summarise_books(books, input, findings, report);
  check_roster(books, input, findings, report);
  check_witnesses(books, findings);
  check_decisions(books, findings);
  check_matching(books, findings);
  check_steps(books, findings);
  check_forgone(books, input, findings);
  check_signatures(books, input, findings);
  check_facts(books, input, findings, report);
  findings.check("ledger.given", !input.parties.empty(), {"the given parties", 0},
                 [] { return "no ledger was given: there is nothing to verify"; });
  // A ledger that is another party's is the cause of whatever else does not fit: it comes first.
  std::stable_partition(report.faults.begin(), report.faults.end(),
                        [](const ledger::Fault& fault) { return fault.check == "agreement.self"; });
  return report;
}

}  // namespace concordat::audit
