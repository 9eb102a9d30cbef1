// The steps of an exchange as one party's ledger tells them.
#include <algorithm>
#include <limits>
#include <set>
#include <span>

#include "audit/checks.hpp"

namespace concordat::audit {
namespace {

using ledger::CrossingKind;

constexpr CrossingKind steps[] = {
    CrossingKind::ready,    CrossingKind::manifest,  CrossingKind::cosign, CrossingKind::go,
    CrossingKind::header,   CrossingKind::survivors, CrossingKind::agree,  CrossingKind::aggregate,
    CrossingKind::received, CrossingKind::closed};

/// What a site gets of an exchange that went without it; before them it may have said a ready that
/// came too late.
constexpr CrossingKind record[] = {CrossingKind::manifest, CrossingKind::go,
                                   CrossingKind::survivors, CrossingKind::aggregate,
                                   CrossingKind::closed};

/// The coordinator may say the second only when it has the first from every site in the manifest.
constexpr std::pair<CrossingKind, CrossingKind> barriers[] = {
    {CrossingKind::ready, CrossingKind::manifest},
    {CrossingKind::cosign, CrossingKind::go},
    {CrossingKind::header, CrossingKind::survivors},
    {CrossingKind::agree, CrossingKind::aggregate},
    {CrossingKind::received, CrossingKind::closed}};

/// Index of each step between this party and one peer in one exchange.
using Track = std::map<CrossingKind, std::uint64_t>;

struct ExchangeTracks {
  std::map<SiteId, Track> peers;
  std::set<SiteId> participants;
  /// The manifest is known and leaves the site out.
  bool missed_by(SiteId site) const {
    return !participants.empty() && !participants.contains(site);
  }
};

SiteId peer_of(const Book& book, const ledger::Crossing& c) {
  return c.from == book.party.id ? c.to : c.from;
}

std::map<ExchangeId, ExchangeTracks> tracks_of(const Book& book) {
  std::map<ExchangeId, ExchangeTracks> tracks;
  for (const auto& [crossing, index] : book.crossings) {
    // A donor's state is no step of the exchange that it is of.
    if (crossing.kind == CrossingKind::state_blocks) continue;
    ExchangeTracks& exchange = tracks[crossing.exchange];
    exchange.peers[peer_of(book, crossing)].emplace(crossing.kind, index);
    if (crossing.kind != CrossingKind::manifest) continue;
    try {
      for (const SiteId id :
           ledger::parties_from(fact(crossing.facts, "participants"), "participants")) {
        exchange.participants.insert(id);
      }
    } catch (const Error&) {
      exchange.participants.insert(coordinator_id);  // never satisfied: the barrier check fails
    }
  }
  return tracks;
}

/// A step needs all before it, and stands after them.
void check_track(const Book& book, const ExchangeId& id, const Track& track,
                 std::span<const CrossingKind> expected, Findings& findings) {
  std::uint64_t previous = 0;
  bool missing = false;
  std::string absent;
  for (const CrossingKind step : expected) {
    const auto found = track.find(step);
    if (found == track.end()) {
      if (!missing) absent = ledger::entry_kind(step);
      missing = true;
      continue;
    }
    const Place place = book.place(found->second);
    findings.check("steps.complete", !missing, place, [&] {
      return ledger::entry_kind(step) + " of " + name_of(id) + " without its " + absent;
    });
    findings.check("steps.order", found->second >= previous, place, [&] {
      return ledger::entry_kind(step) + " of " + name_of(id) +
             " stands before what leads to it, "
             "in line " +
             std::to_string(previous + 1);
    });
    previous = std::max(previous, found->second);
  }
}

/// A site that the manifest leaves out takes the record, and no part. It may have said a ready; a
/// coordinator that accepted one had to name its site.
void check_missed(const Book& book, const ExchangeId& id, const Track& track, Findings& findings) {
  check_track(book, id, track, record, findings);
  for (const auto& [step, index] : track) {
    const bool may_be = step == CrossingKind::ready
                            ? !book.is_coordinator()
                            : std::ranges::find(record, step) != std::end(record);
    findings.check("steps.missed", may_be, book.place(index), [&, step = step] {
      return ledger::entry_kind(step) + " of " + name_of(id) +
             ", whose manifest leaves the site out";
    });
  }
}

void check_commit(const Book& book, const ExchangeId& id, const Track& track, Findings& findings) {
  const auto upload = track.find(CrossingKind::header);
  if (upload == track.end()) return;
  const auto commit = book.commits.find(id);
  const Place place = book.place(upload->second);
  const bool exists = findings.check("commit.exists", commit != book.commits.end(), place, [&] {
    return "upload of " + name_of(id) + " without a commit";
  });
  if (!exists) return;
  const auto go = track.find(CrossingKind::go);
  findings.check(
      "commit.order",
      commit->second < upload->second && (go == track.end() || go->second < commit->second),
      book.place(commit->second),
      [&] { return "the commit of " + name_of(id) + " does not stand between go and upload"; });
  const ledger::Entry& fixed = book.entry(commit->second);
  const std::string_view generation = fact(fixed.fields, "generation");
  const auto saved = [&](std::uint64_t index) {
    const ledger::Entry& entry = book.entry(index);
    return index < commit->second && entry.at("generation") == generation &&
           entry.at("round") == std::to_string(id.round.value());
  };
  findings.check("commit.checkpoint", std::ranges::any_of(book.generations, saved),
                 book.place(commit->second), [&] {
                   return "the commit of " + name_of(id) + " is of generation '" +
                          std::string(generation) + "', which has no entry of this round before it";
                 });
  const ledger::Entry& sent = book.entry(upload->second);
  findings.check("commit.upload",
                 fixed.at("root") == sent.at("root") &&
                     fixed.at("num_blocks") == sent.at("num_blocks") &&
                     fixed.at("manifest") == sent.at("manifest"),
                 place, [&] {
                   return "the upload of " + name_of(id) + " is not what was committed in line " +
                          std::to_string(commit->second + 1);
                 });
}

/// The record of an exchange is for the sites that it went without once it is closed.
void check_records(const Book& book, const ExchangeId& id, const ExchangeTracks& exchange,
                   Findings& findings) {
  for (const auto& [peer, track] : exchange.peers) {
    if (!exchange.missed_by(peer)) continue;
    for (const CrossingKind step : record) {
      const auto said = track.find(step);
      if (said == track.end()) continue;
      const bool closed = std::ranges::all_of(exchange.participants, [&](SiteId site) {
        const auto found = exchange.peers.find(site);
        if (found == exchange.peers.end()) return false;
        const auto received = found->second.find(CrossingKind::received);
        return received != found->second.end() && received->second < said->second;
      });
      findings.check("steps.barrier", closed, book.place(said->second), [&, peer = peer] {
        return ledger::entry_kind(step) + " of " + name_of(id) + " was said to " +
               ledger::party(peer) + ", which it went without, before every participant had " +
               "received the aggregate";
      });
    }
  }
}

void check_barriers(const Book& book, const ExchangeId& id, const ExchangeTracks& exchange,
                    Findings& findings) {
  check_records(book, id, exchange, findings);
  for (const auto& [needed, released] : barriers) {
    std::uint64_t first_release = std::numeric_limits<std::uint64_t>::max();
    for (const auto& [peer, track] : exchange.peers) {
      const auto found = track.find(released);
      if (found != track.end()) first_release = std::min(first_release, found->second);
    }
    if (first_release == std::numeric_limits<std::uint64_t>::max()) continue;
    for (const SiteId site : exchange.participants) {
      const auto track = exchange.peers.find(site);
      const bool in_time = track != exchange.peers.end() && track->second.contains(needed) &&
                           track->second.at(needed) < first_release;
      findings.check("steps.barrier", in_time, book.place(first_release),
                     [&, released = released, needed = needed] {
                       return ledger::entry_kind(released) + " of " + name_of(id) +
                              " was said before the " + ledger::entry_kind(needed) + " of " +
                              ledger::party(site) + " was there";
                     });
    }
  }
}

/// Round r > 0 begins only after round r - 1 is closed here.
void check_chain(const Book& book, const ExchangeId& id, const Track& track,
                 const std::map<ExchangeId, ExchangeTracks>& all, SiteId peer, Findings& findings) {
  auto ready = track.find(CrossingKind::ready);
  if (ready == track.end()) ready = track.find(CrossingKind::manifest);
  if (ready == track.end() || id.round.value() == 0) return;
  const auto before = all.find({Round{id.round.value() - 1}, id.fragment, id.attempt});
  std::uint64_t closed = std::numeric_limits<std::uint64_t>::max();
  if (before != all.end()) {
    const auto peer_track = before->second.peers.find(peer);
    if (peer_track != before->second.peers.end()) {
      const auto found = peer_track->second.find(CrossingKind::closed);
      if (found != peer_track->second.end()) closed = found->second;
    }
  }
  findings.check("steps.chain", closed < ready->second, book.place(ready->second), [&] {
    return ledger::entry_kind(ready->first) + " of " + name_of(id) +
           " before the round before it was closed";
  });
}

}  // namespace

void check_steps(const Books& books, Findings& findings) {
  for (const Book& book : books.all) {
    const auto all = tracks_of(book);
    for (const auto& [id, exchange] : all) {
      for (const auto& [peer, track] : exchange.peers) {
        if (exchange.missed_by(book.is_coordinator() ? peer : book.party.id)) {
          check_missed(book, id, track, findings);
        } else {
          check_track(book, id, track, steps, findings);
        }
        check_chain(book, id, track, all, peer, findings);
        if (!book.is_coordinator()) check_commit(book, id, track, findings);
      }
      if (book.is_coordinator()) check_barriers(book, id, exchange, findings);
    }
  }
}

}  // namespace concordat::audit
