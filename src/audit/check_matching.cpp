#include <set>
#include <tuple>

#include "audit/checks.hpp"

namespace concordat::audit {
namespace {

using ledger::Crossing;
using ledger::Direction;

/// What identifies an object at both of its ends.
using Identity = std::tuple<ExchangeId, ledger::CrossingKind, SiteId, SiteId, std::uint32_t>;

Identity identity(const Crossing& c) { return {c.exchange, c.kind, c.from, c.to, c.index}; }

std::string text(const Crossing& c) {
  return ledger::entry_kind(c.kind) + " of " + name_of(c.exchange) + " from " +
         ledger::party(c.from) + " to " + ledger::party(c.to);
}

/// The furthest step that a party's ledger shows. What it needed before must have arrived.
using Step = std::pair<ExchangeId, ledger::CrossingKind>;

/// Sites that the manifest of each exchange names, as anybody recorded it.
using Participants = std::map<ExchangeId, std::set<SiteId>>;

Participants participants_of(const Books& books) {
  Participants all;
  for (const Book& book : books.all) {
    for (const auto& [crossing, index] : book.crossings) {
      if (crossing.kind != ledger::CrossingKind::manifest) continue;
      try {
        const auto sites =
            ledger::parties_from(fact(crossing.facts, "participants"), "participants");
        all[crossing.exchange].insert(sites.begin(), sites.end());
      } catch (const Error&) {
        continue;  // entry.form and facts.participants report it
      }
    }
  }
  return all;
}

struct Ends {
  std::map<Identity, const PlacedCrossing*> out;
  std::map<Identity, const PlacedCrossing*> in;
  std::map<SiteId, Step> furthest;
  Participants participants;
  /// A ready that came after the manifest was made without its site is not taken.
  bool came_too_late(const Crossing& c) const {
    if (c.kind != ledger::CrossingKind::ready) return false;
    const auto named = participants.find(c.exchange);
    return named != participants.end() && !named->second.contains(c.from);
  }
};

Ends collect(const Books& books) {
  Ends ends;
  ends.participants = participants_of(books);
  for (const Book& book : books.all) {
    for (const PlacedCrossing& placed : book.crossings) {
      const Crossing& c = placed.crossing;
      (c.direction == Direction::out ? ends.out : ends.in).emplace(identity(c), &placed);
      Step& furthest = ends.furthest[book.party.id];
      furthest = std::max(furthest, Step{c.exchange, c.kind});
    }
  }
  return ends;
}

std::string difference(const Crossing& here, const Crossing& there) {
  if (here.digest != there.digest) return "another message (digest " + there.digest.hex() + ")";
  if (here.manifest != there.manifest) return "another manifest";
  if (here.message_bytes != there.message_bytes || here.frame_bytes != there.frame_bytes) {
    return std::to_string(there.message_bytes) + " + " + std::to_string(there.frame_bytes) +
           " bytes instead of " + std::to_string(here.message_bytes) + " + " +
           std::to_string(here.frame_bytes);
  }
  if (here.facts != there.facts) return "other facts";
  return {};
}

void check_out(const Book& book, const PlacedCrossing& placed, const Books& books, const Ends& ends,
               Findings& findings) {
  const Crossing& crossing = placed.crossing;
  const Place place = book.place(placed.index);
  const Book* recipient = books.find(crossing.to);
  if (recipient == nullptr) return;
  const auto found = ends.in.find(identity(crossing));
  if (found == ends.in.end()) {
    const auto furthest = ends.furthest.find(crossing.to);
    if (ends.came_too_late(crossing)) {
      findings.note(place.text() + ": " + text(crossing) +
                    " came too late: the round began without this site");
      return;
    }
    const bool needed = furthest != ends.furthest.end() &&
                        furthest->second > Step{crossing.exchange, crossing.kind};
    if (!needed) {
      findings.note(place.text() + ": " + text(crossing) +
                    " is not in the recipient's ledger "
                    "(yet): on its way, or the run stands still");
      return;
    }
    findings.check("matching.received", false, place, [&] {
      return text(crossing) + " is not in " + recipient->log.file +
             ", which goes on as if it had come";
    });
    return;
  }
  findings.check("matching.received", true, place, [] { return std::string(); });
  const std::string problem = difference(crossing, found->second->crossing);
  findings.check("matching.same", problem.empty(), place, [&] {
    return text(crossing) + ": " + recipient->place(found->second->index).text() + " says " +
           problem;
  });
}

void check_in(const Book& book, const PlacedCrossing& placed, const Books& books, const Ends& ends,
              Findings& findings) {
  const Crossing& crossing = placed.crossing;
  const Book* sender = books.find(crossing.from);
  if (sender == nullptr) return;
  findings.check(
      "matching.sent", ends.out.contains(identity(crossing)), book.place(placed.index),
      [&] { return text(crossing) + " was never sent by the ledger " + sender->log.file; });
}

}  // namespace

void check_matching(const Books& books, Findings& findings) {
  const Ends ends = collect(books);
  for (const Book& book : books.all) {
    for (const PlacedCrossing& placed : book.crossings) {
      if (placed.crossing.direction == Direction::out) {
        check_out(book, placed, books, ends, findings);
      } else {
        check_in(book, placed, books, ends, findings);
      }
    }
  }
}

}  // namespace concordat::audit
