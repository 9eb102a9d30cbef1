// The books: every party's ledger, read and sorted by what its entries are.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "audit/findings.hpp"
#include "concordat/audit/audit.hpp"

namespace concordat::audit {

/// A crossing and the index of its entry.
struct PlacedCrossing {
  ledger::Crossing crossing;
  std::uint64_t index = 0;
};

struct Book {
  AuditParty party{};
  ledger::LogReading log{};
  std::vector<PlacedCrossing> crossings{};   ///< of the run under audit
  std::vector<PlacedCrossing> other_runs{};  ///< crossings of other runs in the same ledger
  std::vector<std::uint64_t> states{};       ///< indices of `state` entries
  std::map<std::string, std::uint64_t, std::less<>> decisions{};  ///< id to index
  std::map<ExchangeId, std::uint64_t> commits{};
  std::vector<std::uint64_t> generations{};  ///< indices of the run's `checkpoint` entries
  std::vector<std::uint64_t> forgone{};      ///< indices of `forgone` entries
  std::optional<std::uint64_t> agreement{};

  const ledger::Entry& entry(std::uint64_t index) const { return log.entries[index].entry; }
  Place place(std::uint64_t index) const { return {log.file, index + 1}; }
  Place place() const { return {log.file, 0}; }
  bool is_coordinator() const { return party.id == coordinator_id; }
};

struct Books {
  std::vector<Book> all;  ///< the coordinator first, then sites by id
  Digest agreement{};     ///< of the run under audit; zero: no run in any ledger
  const Book* find(SiteId id) const;
};

/// Reads and verifies each ledger by itself.
Books read_books(FileSystem& fs, const AuditInput& input, Findings& findings);
/// Chooses the run, sorts the entries and fills in report.ledgers. Entries that are not in the form
/// of their kind become faults and are left out.
void summarise_books(Books& books, const AuditInput& input, Findings& findings,
                     AuditReport& report);

/// A field that must be there; entries that lack it are faults already and give "".
std::string_view fact(const ledger::Fields& facts, std::string_view name);

/// "exchange 3.0.0".
inline std::string name_of(const ExchangeId& id) { return "exchange " + id.text(); }

}  // namespace concordat::audit
