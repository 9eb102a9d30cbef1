// Aggregates that were kept no longer when a site came back: it goes on without them, from the
// state of a donor. Whoever says so has to have missed the exchange, to have been told so, and to
// have got that state before it is ready again.
#include <algorithm>
#include <limits>
#include <set>

#include "audit/checks.hpp"

namespace concordat::audit {
namespace {

using ledger::CrossingKind;
using ledger::Direction;

struct Claim {
  ExchangeId exchange{};
  SiteId site{};
  std::uint64_t index = 0;
};

std::vector<Claim> claims_of(const Book& book) {
  std::vector<Claim> claims;
  for (const std::uint64_t index : book.forgone) {
    const ledger::Entry& entry = book.entry(index);
    claims.push_back({ledger::exchange_from(entry.at("exchange"), entry.key),
                      ledger::party_from(entry.at("site"), entry.key), index});
  }
  return claims;
}

/// Exchanges whose manifest somebody recorded, and whom it names.
std::map<ExchangeId, std::set<SiteId>> participants_of(const Books& books) {
  std::map<ExchangeId, std::set<SiteId>> all;
  for (const Book& book : books.all) {
    for (const auto& [crossing, index] : book.crossings) {
      if (crossing.kind != CrossingKind::manifest) continue;
      try {
        const auto sites =
            ledger::parties_from(fact(crossing.facts, "participants"), "participants");
        all[crossing.exchange].insert(sites.begin(), sites.end());
      } catch (const Error&) {
        continue;  // roster.participants reports it
      }
    }
  }
  return all;
}

/// The state that a site took after the claim and before it was ready for a later round.
struct Recovery {
  bool is_ready = false;
  std::uint64_t ready_at = std::numeric_limits<std::uint64_t>::max();
  const PlacedCrossing* state = nullptr;
};

Recovery recovery_of(const Book& book, const Claim& claim) {
  Recovery found;
  Round ready{};
  for (const PlacedCrossing& placed : book.crossings) {
    const ledger::Crossing& crossing = placed.crossing;
    const bool is_next = crossing.kind == CrossingKind::ready &&
                         crossing.direction == Direction::out && placed.index > claim.index &&
                         crossing.exchange.round > claim.exchange.round &&
                         placed.index < found.ready_at;
    if (!is_next) continue;
    found.is_ready = true;
    found.ready_at = placed.index;
    ready = crossing.exchange.round;
  }
  for (const PlacedCrossing& placed : book.crossings) {
    const ledger::Crossing& crossing = placed.crossing;
    const bool fits = crossing.kind == CrossingKind::state_blocks &&
                      crossing.direction == Direction::in && placed.index > claim.index &&
                      placed.index < found.ready_at && crossing.exchange >= claim.exchange &&
                      (!found.is_ready || crossing.exchange.round < ready);
    if (fits) found.state = &placed;
  }
  return found;
}

std::string name_of_party(const Books& books, const AuditInput& input, SiteId id) {
  for (const AuditMember& member : input.roster) {
    if (member.id == id) return member.name;
  }
  const Book* book = books.find(id);
  return book == nullptr ? ledger::party(id) : book->party.name;
}

/// "exchange 1.0.0", "exchanges 1.0.0 to 3.0.0, 7.0.0". @pre ascending, not empty.
std::string ranges(const std::vector<ExchangeId>& ids) {
  std::string text;
  for (std::size_t first = 0; first < ids.size();) {
    std::size_t last = first;
    while (last + 1 < ids.size() && ids[last + 1].round == ids[last].round.next()) ++last;
    text += (text.empty() ? "" : ", ") + ids[first].text();
    if (last > first) text += " to " + ids[last].text();
    first = last + 1;
  }
  return (ids.size() > 1 ? "exchanges " : "exchange ") + text;
}

class Checks {
 public:
  Checks(const Books& books, const AuditInput& input, Findings& findings)
      : books_(books), input_(input), findings_(findings), participants_(participants_of(books)) {
    const Book* hub = books.find(coordinator_id);
    if (hub == nullptr) return;
    has_hub_ = true;
    for (const Claim& claim : claims_of(*hub)) let_go_.insert({claim.site, claim.exchange});
  }

  void check(const Book& book) {
    std::map<SiteId, std::vector<ExchangeId>> said;
    const PlacedCrossing* state = nullptr;
    for (const Claim& claim : claims_of(book)) {
      check_claim(book, claim);
      said[claim.site].push_back(claim.exchange);
      if (book.is_coordinator()) continue;
      const Recovery recovery = recovery_of(book, claim);
      if (recovery.state != nullptr) state = recovery.state;
      if (!recovery.is_ready) continue;
      findings_.check("forgone.donated", recovery.state != nullptr, book.place(recovery.ready_at),
                      [&] {
                        return book.party.name + " is ready again without the aggregate of " +
                               name_of(claim.exchange) + " and without a donor's state";
                      });
    }
    for (auto& [site, ids] : said) note(book, site, ids, state);
  }

 private:
  void check_claim(const Book& book, const Claim& claim) {
    const Place place = book.place(claim.index);
    const bool right_party =
        book.is_coordinator() ? claim.site != coordinator_id : claim.site == book.party.id;
    findings_.check("forgone.party", right_party, place,
                    [&] { return "it says what " + ledger::party(claim.site) + " goes without"; });
    const auto named = participants_.find(claim.exchange);
    const bool missed = named != participants_.end() && !named->second.contains(claim.site);
    findings_.check("forgone.missed", missed, place, [&] {
      return named == participants_.end()
                 ? "no ledger has the manifest of " + name_of(claim.exchange)
                 : "the manifest of " + name_of(claim.exchange) + " names " +
                       ledger::party(claim.site) + ", which signed for its aggregate";
    });
    if (book.is_coordinator() || !has_hub_) return;
    findings_.check("forgone.let_go", let_go_.contains({claim.site, claim.exchange}), place, [&] {
      return "the coordinator's ledger does not say that it let go of the aggregate of " +
             name_of(claim.exchange) + " before " + ledger::party(claim.site) + " had it";
    });
  }

  void note(const Book& book, SiteId site, std::vector<ExchangeId>& ids,
            const PlacedCrossing* state) {
    std::ranges::sort(ids);
    const std::string who = name_of_party(books_, input_, site);
    if (!book.is_coordinator()) {
      findings_.note(who + " goes on without the aggregates of " + ranges(ids) +
                     ", which were kept no longer: " +
                     (state == nullptr
                          ? "it waits for the state of another site"
                          : "it has the state of " + name_of(state->crossing.exchange) + " from " +
                                name_of_party(books_, input_, state->crossing.from)));
      return;
    }
    const Book* own = books_.find(site);
    if (own != nullptr) {
      std::set<ExchangeId> theirs;
      for (const Claim& claim : claims_of(*own)) theirs.insert(claim.exchange);
      std::erase_if(ids, [&](const ExchangeId& id) { return theirs.contains(id); });
    }
    if (ids.empty()) return;
    findings_.note(book.party.name + " keeps the aggregates of " + ranges(ids) +
                   " no longer, and had not heard that " + who + " has them");
  }

  const Books& books_;
  const AuditInput& input_;
  Findings& findings_;
  std::map<ExchangeId, std::set<SiteId>> participants_;
  std::set<std::pair<SiteId, ExchangeId>> let_go_;
  bool has_hub_ = false;
};

}  // namespace

void check_forgone(const Books& books, const AuditInput& input, Findings& findings) {
  Checks checks(books, input, findings);
  for (const Book& book : books.all) checks.check(book);
}

}  // namespace concordat::audit
