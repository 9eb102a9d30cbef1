// Facts that must be stated alike wherever they are stated.
#include <algorithm>
#include <charconv>
#include <set>

#include "audit/checks.hpp"

namespace concordat::audit {
namespace {

using ledger::CrossingKind;

/// The first statement of each fact; later ones are held against it.
class Statements {
 public:
  explicit Statements(Findings& findings) : findings_(findings) {}

  /// `scope` is an exchange, one upload, or the run.
  void state(const std::string& scope, std::string_view what, std::string_view value,
             const Place& place) {
    const auto [found, fresh] =
        first_.try_emplace({scope, std::string(what)}, std::string(value), place);
    if (fresh) return;
    findings_.check("facts." + underscored(what), found->second.first == value, place, [&] {
      return scope + ": the " + std::string(what) + " is " + std::string(value) + " here and " +
             found->second.first + " at " + found->second.second.text();
    });
  }

  std::string_view value(const std::string& scope, std::string_view what) const {
    const auto found = first_.find({scope, std::string(what)});
    return found == first_.end() ? std::string_view() : found->second.first;
  }

 private:
  static std::string underscored(std::string_view what) {
    std::string name(what);
    for (char& c : name) {
      if (c == ' ') c = '_';
    }
    return name;
  }

  Findings& findings_;
  std::map<std::pair<std::string, std::string>, std::pair<std::string, Place>> first_;
};

const std::string the_run = "the run";

/// Whether anybody recorded something from this party in the run.
bool took_part(const Book& book, const Books& books) {
  for (const Book& other : books.all) {
    for (const auto& [crossing, index] : other.crossings) {
      if (crossing.from == book.party.id) return true;
    }
  }
  return false;
}

void state_agreement(const Book& book, const Books& books, Statements& statements,
                     Findings& findings) {
  if (!book.agreement) {
    if (took_part(book, books)) {
      findings.check("agreement.exists", false, book.place(),
                     [&] { return "it took part and accepted no such agreement"; });
    }
    return;
  }
  const ledger::Entry& entry = book.entry(*book.agreement);
  const Place place = book.place(*book.agreement);
  findings.check("agreement.exists", true, place, [] { return std::string(); });
  findings.check("agreement.before",
                 book.crossings.empty() || *book.agreement < book.crossings.front().index, place,
                 [&] { return "something crossed before the agreement was accepted"; });
  findings.check(
      "agreement.self",
      entry.at("self") == ledger::party(book.party.id) && entry.at("name") == book.party.name,
      place, [&] {
        return "the ledger is of " + entry.at("self") + " '" + entry.at("name") + "', not of " +
               ledger::party(book.party.id) + " '" + book.party.name +
               "': compare the names and folders that were given";
      });
  statements.state(the_run, "federation", entry.at("federation"), place);
  statements.state(the_run, "roster", entry.at("roster"), place);
  statements.state(the_run, "agreement", entry.at("agreement"), place);
  statements.state(name_of(ExchangeId{}), "state", entry.at("initial_state"), place);
}

void state_manifest(const ledger::Crossing& crossing, const Place& place, Statements& statements) {
  const std::string scope = name_of(crossing.exchange);
  statements.state(scope, "manifest", fact(crossing.facts, "document"), place);
  statements.state(scope, "state", fact(crossing.facts, "state"), place);
  statements.state(scope, "participants", fact(crossing.facts, "participants"), place);
  statements.state(the_run, "roster", fact(crossing.facts, "roster"), place);
  statements.state(the_run, "agreement", fact(crossing.facts, "agreement"), place);
  const std::uint32_t round = crossing.exchange.round.value();
  // Round 0 has nothing before it: the closing record of "before the run" is 32 zero bytes.
  const std::string before =
      round == 0
          ? "before the run"
          : name_of({Round{round - 1}, crossing.exchange.fragment, crossing.exchange.attempt});
  statements.state(before, "closing record", fact(crossing.facts, "previous_closing"), place);
}

void state_crossing(const ledger::Crossing& crossing, const Place& place, Statements& statements) {
  const std::string scope = name_of(crossing.exchange);
  const bool has_manifest =
      crossing.kind != CrossingKind::ready && crossing.kind != CrossingKind::manifest;
  if (has_manifest) {
    statements.state(scope, "manifest", crossing.manifest.hex(), place);
  } else {
    // No manifest exists yet: the signed header names the run.
    statements.state(the_run, "agreement", crossing.manifest.hex(), place);
  }
  const ledger::Fields& facts = crossing.facts;
  switch (crossing.kind) {
    case CrossingKind::state_blocks:
    case CrossingKind::ready:
      statements.state(scope, "state", fact(facts, "state"), place);
      break;
    case CrossingKind::manifest:
      state_manifest(crossing, place, statements);
      break;
    case CrossingKind::header: {
      const std::string upload = scope + ", upload of " + ledger::party(crossing.from);
      statements.state(upload, "root", fact(facts, "root"), place);
      statements.state(scope, "number of blocks", fact(facts, "num_blocks"), place);
      break;
    }
    case CrossingKind::survivors:
    case CrossingKind::agree:
      statements.state(scope, "survivors document", fact(facts, "document"), place);
      statements.state(scope, "survivors", fact(facts, "survivors"), place);
      break;
    case CrossingKind::received:
      statements.state(scope, "tokens", fact(facts, "tokens"), place);
      [[fallthrough]];
    case CrossingKind::aggregate:
      statements.state(scope, "aggregate", fact(facts, "root"), place);
      break;
    case CrossingKind::closed:
      statements.state(scope, "aggregate", fact(facts, "root"), place);
      statements.state(scope, "closing record", fact(facts, "document"), place);
      statements.state(scope, "tokens", fact(facts, "tokens"), place);
      statements.state(scope, "survivors", fact(facts, "survivors"), place);
      break;
    default:
      break;
  }
}

void state_others(const Book& book, Statements& statements) {
  for (const std::uint64_t index : book.states) {
    const ledger::Entry& entry = book.entry(index);
    statements.state("exchange " + entry.at("round") + ".0.0", "state", entry.at("state"),
                     book.place(index));
  }
  for (const std::uint64_t index : book.forgone) {
    const ledger::Entry& entry = book.entry(index);
    const std::string scope = name_of(ledger::exchange_from(entry.at("exchange"), entry.key));
    statements.state(scope, "manifest", entry.at("manifest"), book.place(index));
    statements.state(scope, "aggregate", entry.at("root"), book.place(index));
  }
  for (const auto& [id, index] : book.commits) {
    statements.state(name_of(id), "manifest", book.entry(index).at("manifest"), book.place(index));
  }
}

Digest digest_or_zero(std::string_view hex) {
  return hex.size() == 64 ? digest_from_hex(hex, "statement") : Digest{};
}

/// The survivors of an exchange are its participants: a run with `recovery = none` has no others.
void check_survivors(const std::string& scope, const Statements& statements, const Place& place,
                     Findings& findings) {
  const std::string_view survivors = statements.value(scope, "survivors");
  const std::string_view participants = statements.value(scope, "participants");
  if (survivors.empty() || participants.empty()) return;
  findings.check("facts.all_survive", survivors == participants, place, [&] {
    return scope + ": survivors are " + std::string(survivors) + ", participants " +
           std::string(participants);
  });
}

void summarise(const Books& books, const Statements& statements, Findings& findings,
               AuditReport& report) {
  std::map<ExchangeId, ExchangeSummary> exchanges;
  std::map<ExchangeId, std::set<SiteId>> ready_sites;
  std::set<SiteId> sites;
  for (const Book& book : books.all) {
    if (!book.is_coordinator() && !book.crossings.empty()) sites.insert(book.party.id);
    for (const auto& [crossing, index] : book.crossings) {
      ExchangeSummary& summary = exchanges[crossing.exchange];
      summary.id = crossing.exchange;
      if (crossing.kind == CrossingKind::ready) {
        ready_sites[crossing.exchange].insert(crossing.from);
      }
      if (crossing.kind == CrossingKind::closed && !summary.closed) {
        summary.closed = true;
        check_survivors(name_of(crossing.exchange), statements, book.place(index), findings);
      }
    }
  }
  for (auto& [id, summary] : exchanges) {
    const std::string scope = name_of(id);
    try {
      summary.manifest = digest_or_zero(statements.value(scope, "manifest"));
      summary.state = digest_or_zero(statements.value(scope, "state"));
      summary.aggregate = digest_or_zero(statements.value(scope, "aggregate"));
    } catch (const Error&) {
      findings.check("facts.digests", false, {"exchanges", 0},
                     [&] { return scope + ": a digest is not 64 hex digits"; });
    }
    const std::string_view tokens = statements.value(scope, "tokens");
    std::from_chars(tokens.data(), tokens.data() + tokens.size(), summary.tokens);
    if (!sites.empty() && ready_sites[id].size() >= sites.size()) {
      report.final_state = summary.state;
    }
    report.exchanges.push_back(summary);
  }
}

}  // namespace

void check_facts(const Books& books, const AuditInput& input, Findings& findings,
                 AuditReport& report) {
  Statements statements(findings);
  if (!input.federation.is_zero()) {
    statements.state(the_run, "federation", input.federation.hex(), {"the given roster", 0});
  }
  if (!input.agreement.is_zero()) {
    statements.state(the_run, "agreement", input.agreement.hex(), {"the given agreement", 0});
  }
  const bool somebody_has_it =
      books.agreement.is_zero() ||
      std::any_of(books.all.begin(), books.all.end(), [](const Book& b) { return b.agreement; });
  findings.check("agreement.exists", somebody_has_it, {"the given agreement", 0},
                 [] { return "no ledger has this run"; });
  statements.state("before the run", "closing record", Digest{}.hex(), {"the protocol", 0});
  for (const Book& book : books.all) {
    state_agreement(book, books, statements, findings);
    for (const auto& [crossing, index] : book.crossings) {
      state_crossing(crossing, book.place(index), statements);
    }
    state_others(book, statements);
  }
  summarise(books, statements, findings, report);
}

}  // namespace concordat::audit
