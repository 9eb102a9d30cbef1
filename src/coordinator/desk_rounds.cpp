// From one exchange to the next: what is opened, begun without the missing, kept and forgotten.
#include <algorithm>
#include <utility>

#include "concordat/core/kill_point.hpp"
#include "coordinator/desk.hpp"

namespace concordat::coordinator {

Desk::Desk(Office office, border::ByteBudget& budget, const Clock& clock, DeskRules rules)
    : office_(office), budget_(budget), clock_(clock), rules_(rules), relay_(office_) {
  std::vector<ExchangeId> exchanges = office_.folder.journalled();
  federation::Chain chain = open_older(exchanges);
  ExchangeId newest = exchanges.empty() ? ExchangeId{} : exchanges.back();
  run_ = std::make_unique<RoundRun>(office_, newest, chain);
  for (const std::string& note : run_->notes()) notes_.push_back(note);
  if (!exchanges.empty()) {
    notes_.push_back("goes on with exchange " + newest.text() + ", phase " +
                     std::string(federation::name_of(run_->machine().phase())));
  }
  for (SiteId site : run_->ready_sites()) office_.reached.raise(site, newest.round);
  advance();
  forget_older();
  // Keys of aggregates that nobody missed or wants any more.
  for (const ExchangeId& exchange : office_.secrets.open_exchanges()) {
    if (exchange < run_->terms().exchange && !missed_.contains(exchange)) {
      office_.secrets.erase(exchange);
    }
  }
}

// Folders of before there was such a file: back to the exchange for which the last site was ready.
void Desk::read_reached(const std::vector<ExchangeId>& exchanges) {
  std::set<SiteId> seen;
  for (std::size_t i = exchanges.size(); i-- > 0 && seen.size() < office_.peers.sites().size();) {
    for (SiteId site : ready_in(office_.folder, exchanges[i])) {
      seen.insert(site);
      office_.reached.raise(site, exchanges[i].round);
    }
  }
  office_.reached.save();
}

// What the newest exchange starts from, and everything that some site may still lack, however long
// ago it was: what proves an exchange is kept for ever. Oldest first, as it was said.
federation::Chain Desk::open_older(const std::vector<ExchangeId>& exchanges) {
  federation::Chain chain;
  if (exchanges.size() < 2) return chain;
  const Round newest = exchanges.back().round;
  if (!office_.reached.is_known()) read_reached(exchanges);
  for (SiteId site : ready_in(office_.folder, exchanges.back())) {
    office_.reached.raise(site, newest);
  }
  for (std::size_t i = 0; i + 1 < exchanges.size(); ++i) {
    const bool is_before = i + 2 == exchanges.size();
    if (!is_before && exchanges[i].round < office_.reached.oldest()) continue;
    auto older = std::make_unique<RoundRun>(office_, exchanges[i], chain, true);
    for (SiteId site : older->ready_sites()) office_.reached.raise(site, exchanges[i].round);
    if (older->closed()) chain = older->machine().chain();
    if (older->machine().missed().empty()) continue;
    // One that was let go by a kill, or by an older program, is so still.
    if (older->closed() && !older->has_aggregate()) note_forgone(*older);
    if (newest.value() - exchanges[i].round.value() > rules_.keep_rounds) continue;
    missed_.emplace(exchanges[i], std::move(older));
  }
  return chain;
}

void Desk::advance() {
  while (run_->closed()) {
    const auto& closing = run_->machine().closing();
    last_closed_ = "round " + std::to_string(run_->terms().exchange.round.value()) +
                   ": W = " + std::to_string(closing.total_weight) + ", aggregate " +
                   closing.root.hex();
    notes_.push_back("closed " + last_closed_);
    open_next();
  }
}

void Desk::open_next() {
  ExchangeId next = run_->terms().exchange;
  next.round = next.round.next();
  auto before =
      std::exchange(run_, std::make_unique<RoundRun>(office_, next, run_->machine().chain()));
  for (const std::string& note : run_->notes()) notes_.push_back(note);
  if (!before->machine().missed().empty()) {
    missed_.emplace(before->terms().exchange, std::move(before));
  }
  // The readies of the round that is over stand in a journal that need not be read again.
  office_.reached.save();
  forget_older();
}

// Aggregates stay for the site that is furthest behind, within the bound, and for one round more:
// for the eye and for a site that is restored by hand.
void Desk::forget_older() {
  const std::uint32_t newest = run_->terms().exchange.round.value();
  const Round kept(newest > rules_.keep_rounds ? newest - rules_.keep_rounds : 0);
  const Round oldest = std::max(kept, std::min(office_.reached.oldest(), Round(newest)));
  std::erase_if(missed_, [&](const auto& one) {
    if (one.first.round >= oldest) return false;
    note_forgone(*one.second);
    office_.secrets.erase(one.first);
    std::erase_if(serving_,
                  [&](const auto& aggregate) { return aggregate->exchange() == one.first; });
    return true;
  });
  const Round for_the_eye(newest >= 2 ? newest - 2 : 0);
  office_.folder.erase_aggregates_before(std::min(oldest, for_the_eye));
}

// Sites that may still ask for the aggregate that goes now. They will hear of every round all the
// same, and so know what a donor's state has to be.
void Desk::note_forgone(const RoundRun& run) {
  const federation::CoordinatorExchange& machine = run.machine();
  std::vector<ledger::Entry> entries;
  std::vector<SiteId> without;
  for (const SiteId site : machine.missed()) {
    if (office_.reached.of(site) > run.terms().exchange.round) continue;
    without.push_back(site);
    entries.push_back(ledger::forgone_entry({.exchange = run.terms().exchange,
                                             .manifest = machine.manifest_digest(),
                                             .site = site,
                                             .root = machine.closing().root}));
  }
  if (entries.empty()) return;
  office_.ledger.append(entries);
  kill_point("coordinator.forgone_recorded");
  notes_.push_back("keeps the aggregate of round " +
                   std::to_string(run.terms().exchange.round.value()) + " no longer, which " +
                   run.terms().text_of(without) + " has not: it needs the state of another site");
}

// The clock counts in this process alone: a restarted coordinator counts from the beginning, and
// what it decided stands in the journal.
void Desk::watch_deadline() {
  if (rules_.deadline.count() == 0 || !run_->machine().may_go_on()) {
    deadline_.reset();
    return;
  }
  const std::chrono::nanoseconds now = clock_.monotonic();
  if (!deadline_) {
    deadline_ = now + rules_.deadline;
    // For people. A countdown would make every look at it a change to report.
    begins_unix_ =
        clock_.unix_seconds() + std::chrono::ceil<std::chrono::seconds>(rules_.deadline).count();
  }
  if (now < *deadline_) return;
  deadline_.reset();
  run_->take(federation::Deadline{});
  notes_.push_back("round " + std::to_string(run_->terms().exchange.round.value()) +
                   " begins without " + run_->terms().text_of(run_->machine().missed()) +
                   ": the deadline is over");
  changed_.notify_all();
}

}  // namespace concordat::coordinator
