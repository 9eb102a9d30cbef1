// The report for people: plain text, no colour, fits 100 columns where digests are shortened.
#include <algorithm>
#include <iomanip>
#include <sstream>

#include "audit/assumptions.hpp"
#include "concordat/audit/audit.hpp"

namespace concordat::audit {
namespace {

constexpr std::size_t max_faults_shown = 50;

std::string shortened(const Digest& digest) {
  return digest.is_zero() ? "-" : digest.hex().substr(0, 16);
}

void write_ledgers(std::ostream& out, const std::vector<LedgerSummary>& ledgers) {
  out << "Ledgers\n"
      << "  " << std::left << std::setw(20) << "party" << std::right << std::setw(9) << "entries"
      << std::setw(9) << "signed" << std::setw(11) << "decisions" << std::setw(10) << "refusals"
      << "  root\n";
  for (const LedgerSummary& one : ledgers) {
    out << "  " << std::left << std::setw(20) << one.name << std::right << std::setw(9)
        << one.num_entries << std::setw(9) << one.num_signed << std::setw(11) << one.num_decisions
        << std::setw(10) << one.num_refusals << "  " << shortened(one.root) << "\n";
  }
}

void write_crossings(std::ostream& out, const std::vector<LedgerSummary>& ledgers) {
  out << "\nWhat left each party\n"
      << "  " << std::left << std::setw(20) << "party" << std::setw(12) << "kind" << std::right
      << std::setw(10) << "messages" << std::setw(16) << "message bytes" << std::setw(16)
      << "block bytes\n";
  for (const LedgerSummary& one : ledgers) {
    for (const auto& [kind, total] : one.out) {
      out << "  " << std::left << std::setw(20) << one.name << std::setw(12) << kind << std::right
          << std::setw(10) << total.num_messages << std::setw(16) << total.message_bytes
          << std::setw(16) << total.frame_bytes << "\n";
    }
  }
}

void write_exchanges(std::ostream& out, const std::vector<ExchangeSummary>& exchanges) {
  out << "\nExchanges\n"
      << "  " << std::left << std::setw(10) << "exchange" << std::setw(8) << "closed"
      << std::setw(18) << "state at start" << std::setw(18) << "manifest" << std::setw(18)
      << "aggregate" << std::right << std::setw(12) << "tokens"
      << "\n";
  for (const ExchangeSummary& one : exchanges) {
    out << "  " << std::left << std::setw(10) << one.id.text() << std::setw(8)
        << (one.closed ? "yes" : "no") << std::setw(18) << shortened(one.state) << std::setw(18)
        << shortened(one.manifest) << std::setw(18) << shortened(one.aggregate) << std::right
        << std::setw(12) << one.tokens << "\n";
  }
}

void write_checks(std::ostream& out, const std::map<std::string, CheckCount>& checks) {
  out << "\nChecks\n"
      << "  " << std::left << std::setw(30) << "name" << std::right << std::setw(10) << "done"
      << std::setw(10) << "failed"
      << "\n";
  for (const auto& [name, count] : checks) {
    out << "  " << std::left << std::setw(30) << name << std::right << std::setw(10) << count.done
        << std::setw(10) << count.failed << "\n";
  }
}

/// "brio's ledger was not given", "the ledgers of hub, brio were not given", "no roster was given".
std::string what_is_missing(const AuditReport& report) {
  std::string names;
  for (const std::string& name : report.not_given) names += (names.empty() ? "" : ", ") + name;
  std::string text;
  if (report.not_given.size() == 1) text = names + "'s ledger was not given";
  if (report.not_given.size() > 1) text = "the ledgers of " + names + " were not given";
  if (!report.has_roster) text += (text.empty() ? "" : ", ") + std::string("no roster was given");
  return text;
}

}  // namespace

std::string AuditReport::verdict() const {
  std::uint64_t done = 0;
  for (const auto& [name, count] : checks) done += count.done;
  const std::string missing = what_is_missing(*this);
  if (has_faults()) {
    return "NOT verified: " + std::to_string(faults.size()) + " of " + std::to_string(done) +
           " checks failed" + (missing.empty() ? "" : "; " + missing);
  }
  const auto closed = std::count_if(exchanges.begin(), exchanges.end(),
                                    [](const ExchangeSummary& one) { return one.closed; });
  return (missing.empty() ? "verified: " : "verified in part: " + missing + "; ") +
         std::to_string(ledgers.size()) + " ledgers, " + std::to_string(closed) +
         " closed exchanges, " + std::to_string(done) + " checks, 0 failed";
}

std::string AuditReport::text() const {
  std::ostringstream out;
  write_ledgers(out, ledgers);
  write_crossings(out, ledgers);
  write_exchanges(out, exchanges);
  out << "  final state " << (final_state.is_zero() ? "-" : final_state.hex()) << "\n";
  write_checks(out, checks);
  if (!notes.empty()) out << "\nNotes\n";
  for (const std::string& note : notes) out << "  " << note << "\n";
  if (!faults.empty()) out << "\nFailed checks\n";
  for (std::size_t i = 0; i < std::min(faults.size(), max_faults_shown); ++i) {
    out << "  " << faults[i].text() << "\n";
  }
  if (faults.size() > max_faults_shown) {
    out << "  and " << faults.size() - max_faults_shown << " more; the JSON report has all\n";
  }
  out << "\nAssumed, not checked\n";
  for (const std::string_view assumption : assumptions) out << "  " << assumption << "\n";
  out << "\n" << verdict() << "\n";
  return out.str();
}

}  // namespace concordat::audit
