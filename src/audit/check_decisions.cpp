#include <charconv>
#include <set>

#include "audit/checks.hpp"

namespace concordat::audit {
namespace {

/// Empty if `decision` permits the crossing; else what it does not permit.
std::string mismatch(const ledger::Entry& decision, const ledger::Crossing& crossing) {
  if (decision.at("type") != ledger::name_of(crossing.kind)) return "another kind of message";
  if (decision.at("exchange") != crossing.exchange.text()) return "another exchange";
  if (decision.at("manifest") != crossing.manifest.hex()) return "another manifest";
  if (decision.at("to") != ledger::party(crossing.to)) return "another recipient";
  if (decision.at("id") !=
      ledger::decision_id(crossing.kind, crossing.exchange, crossing.to, crossing.index)) {
    return "another object";
  }
  const std::string& text = decision.at("max_bytes");
  std::uint64_t max_bytes = 0;
  std::from_chars(text.data(), text.data() + text.size(), max_bytes);
  const std::uint64_t bytes = crossing.message_bytes + crossing.frame_bytes;
  if (bytes > max_bytes || bytes < crossing.message_bytes) {
    return std::to_string(max_bytes) + " bytes; " + std::to_string(bytes) + " left";
  }
  return {};
}

void check_book(const Book& book, Findings& findings) {
  std::set<std::string_view> used;
  for (const auto& [crossing, index] : book.crossings) {
    const Place place = book.place(index);
    const bool out = crossing.direction == ledger::Direction::out;
    findings.check("crossing.party", (out ? crossing.from : crossing.to) == book.party.id, place,
                   [&] { return "this party is not the one that the crossing names"; });
    if (!out) continue;
    const auto found = book.decisions.find(crossing.decision);
    const bool exists = findings.check(
        "decision.exists", found != book.decisions.end(), place,
        [&] { return "no decision '" + crossing.decision + "' stands in this ledger"; });
    if (!exists) continue;
    findings.check("decision.before", found->second < index, place, [&] {
      return "its decision came after it, in line " + std::to_string(found->second + 1);
    });
    const std::string problem = mismatch(book.entry(found->second), crossing);
    findings.check("decision.permits", problem.empty(), place, [&] {
      return "the decision in line " + std::to_string(found->second + 1) + " permits " + problem;
    });
    findings.check("decision.once", used.insert(crossing.decision).second, place,
                   [&] { return "decision '" + crossing.decision + "' was used before"; });
  }
}

}  // namespace

void check_decisions(const Books& books, Findings& findings) {
  for (const Book& book : books.all) check_book(book, findings);
}

}  // namespace concordat::audit
