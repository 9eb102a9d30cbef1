#include <algorithm>
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

bool is_of_run(const Books& books, const ledger::Entry& entry) {
  return !books.agreement.is_zero() &&
         ledger::scope_of(entry.key) == ledger::run_scope(books.agreement);
}

Ends collect(const Books& books) {
  Ends ends;
  ends.participants = participants_of(books);
  for (const Book& book : books.all) {
    for (const PlacedCrossing& placed : book.crossings) {
      const Crossing& c = placed.crossing;
      (c.direction == Direction::out ? ends.out : ends.in).emplace(identity(c), &placed);
      if (c.kind == ledger::CrossingKind::state_blocks) continue;
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
    // What a recipient lost with its disk, or would not take, is given again or not at all.
    const bool optional = crossing.kind == ledger::CrossingKind::state_blocks;
    const bool needed = !optional && furthest != ends.furthest.end() &&
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

/// What the coordinator passed on is what one site sent, and what a site got of another's state
/// came over it.
void check_passed_on(const Books& books, const Ends& ends, Findings& findings) {
  const Book* hub = books.find(coordinator_id);
  if (hub == nullptr) return;
  std::set<std::string> passed;
  std::set<std::string> sent;
  for (const auto& [id, placed] : ends.out) sent.insert(placed->crossing.digest.hex());
  for (std::uint64_t index = 0; index < hub->log.entries.size(); ++index) {
    const ledger::Entry& entry = hub->entry(index);
    if (entry.kind != ledger::kinds::passed_on || !is_of_run(books, entry)) continue;
    const std::string* digest = entry.find("digest");
    const std::string* from = entry.find("from");
    if (digest == nullptr || from == nullptr) continue;  // entry.form reports it
    passed.insert(*digest);
    const bool has_sender = std::ranges::any_of(
        books.all, [&](const Book& book) { return ledger::party(book.party.id) == *from; });
    if (!has_sender) continue;
    findings.check("matching.passed_on", sent.contains(*digest), hub->place(index),
                   [&] { return "a message was passed on that is not in the ledger of " + *from; });
  }
  for (const auto& [id, placed] : ends.in) {
    const Crossing& crossing = placed->crossing;
    if (crossing.kind != ledger::CrossingKind::state_blocks) continue;
    const Book* book = books.find(crossing.to);
    findings.check("matching.passed_on", passed.contains(crossing.digest.hex()),
                   book->place(placed->index),
                   [&] { return text(crossing) + " did not come over the coordinator"; });
  }
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
  check_passed_on(books, ends, findings);
}

}  // namespace concordat::audit
