// The roster says who can be in a run at all, and which ledgers a whole audit would have.
#include <algorithm>
#include <functional>
#include <map>

#include "audit/checks.hpp"
#include "concordat/federation/terms.hpp"

namespace concordat::audit {
namespace {

const AuditMember* find(const AuditInput& input, SiteId id) {
  const auto found = std::find_if(input.roster.begin(), input.roster.end(),
                                  [id](const AuditMember& one) { return one.id == id; });
  return found == input.roster.end() ? nullptr : &*found;
}

std::vector<SiteId> sites_of(const AuditInput& input) {
  std::vector<SiteId> sites;
  for (const AuditMember& one : input.roster) {
    if (one.id != coordinator_id) sites.push_back(one.id);
  }
  std::sort(sites.begin(), sites.end());
  return sites;
}

void check_given(const AuditInput& input, Findings& findings) {
  for (const AuditParty& party : input.parties) {
    const AuditMember* member = find(input, party.id);
    findings.check(
        "roster.given", member != nullptr && member->name == party.name, {"the given roster", 0},
        [&] { return "the roster has no '" + party.name + "' as " + ledger::party(party.id); });
  }
}

// What an agreement has that says nothing else, and the least that one may say.
constexpr std::uint32_t assumed_minimum = 3;
constexpr std::uint32_t assumed_colluding = 1;

/// Exchanges that went without a site, by the sites' names.
using Without = std::map<ExchangeId, std::string>;

// A manifest names sites of the roster, each once and ascending, and as many as a round needs: with
// recovery = none those who are ready when it is made.
void check_participants(const ledger::Crossing& crossing, const Place& place,
                        const AuditInput& input, Findings& findings, Without& without) {
  const std::string_view text = fact(crossing.facts, "participants");
  std::vector<SiteId> named;
  try {
    named = ledger::parties_from(text, "participants");
  } catch (const Error&) {
    named.clear();
  }
  const std::vector<SiteId> everybody = sites_of(input);
  const auto num_sites = static_cast<std::uint32_t>(everybody.size());
  const std::uint32_t least =
      federation::least_participants(num_sites, input.minimum.value_or(assumed_minimum),
                                     input.colluding.value_or(assumed_colluding));
  const bool good = named.size() >= std::min(num_sites, least) &&
                    std::ranges::adjacent_find(named, std::greater_equal<>()) == named.end() &&
                    std::ranges::includes(everybody, named) && ledger::parties(named) == text;
  findings.check("roster.participants", good, place, [&] {
    return "the manifest of " + name_of(crossing.exchange) + " names " + std::string(text) +
           ", the roster " + ledger::parties(everybody) + ", of which a round needs " +
           std::to_string(std::min(num_sites, least));
  });
  if (!good || named.size() == everybody.size()) return;
  std::string& missed = without[crossing.exchange];
  if (!missed.empty()) return;
  for (const SiteId site : everybody) {
    if (std::ranges::binary_search(named, site)) continue;
    missed += (missed.empty() ? "" : ", ") + find(input, site)->name;
  }
}

void check_crossing(const Book& book, const PlacedCrossing& placed, const AuditInput& input,
                    Findings& findings, Without& without) {
  const ledger::Crossing& crossing = placed.crossing;
  const Place place = book.place(placed.index);
  for (const SiteId id : {crossing.from, crossing.to}) {
    if (id == book.party.id) continue;
    findings.check("roster.party", find(input, id) != nullptr, place, [&] {
      return ledger::party(id) + " is not in the roster and has a " +
             ledger::entry_kind(crossing.kind) + " of " + name_of(crossing.exchange);
    });
  }
  if (crossing.kind != ledger::CrossingKind::manifest) return;
  check_participants(crossing, place, input, findings, without);
}

void note_missing(const Books& books, const AuditInput& input, Findings& findings,
                  AuditReport& report) {
  const auto note = [&](SiteId id, const std::string& name) {
    if (books.find(id) != nullptr) return;
    report.not_given.push_back(name);
    findings.note(name +
                  "'s ledger was not given: what it recorded was not compared with what "
                  "others recorded of it");
  };
  if (input.roster.empty()) {
    findings.note(
        "no roster was given: no signature was verified, and who is missing is not known");
    note(coordinator_id, "the coordinator");
  }
  if (const AuditMember* hub = find(input, coordinator_id)) note(hub->id, hub->name);
  for (const SiteId id : sites_of(input)) note(id, find(input, id)->name);
}

}  // namespace

void check_roster(const Books& books, const AuditInput& input, Findings& findings,
                  AuditReport& report) {
  report.has_roster = !input.roster.empty();
  note_missing(books, input, findings, report);
  if (!report.has_roster) return;
  if (!input.minimum || !input.colluding) {
    findings.note(
        "no agreement was given, and no ledger says how many sites a round needs: a minimum of " +
        std::to_string(assumed_minimum) + " and " + std::to_string(assumed_colluding) +
        " colluding site were assumed, so a manifest with fewer sites than were agreed on is not "
        "found; give --agreement");
  }
  check_given(input, findings);
  Without without;
  for (const Book& book : books.all) {
    for (const PlacedCrossing& placed : book.crossings) {
      check_crossing(book, placed, input, findings, without);
    }
  }
  for (const auto& [id, names] : without) {
    findings.note(name_of(id) + " went without " + names);
  }
}

}  // namespace concordat::audit
