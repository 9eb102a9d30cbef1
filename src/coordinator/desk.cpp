#include "coordinator/desk.hpp"

#include <algorithm>
#include <utility>

#include "concordat/border/errors.hpp"
#include "concordat/coordinator/errors.hpp"
#include "concordat/core/kill_point.hpp"
#include "concordat/crypto/hash.hpp"
#include "coordinator/sum.hpp"

namespace concordat::coordinator {
namespace {

// A member that sends garbage must not fill ledger and log with refusals.
constexpr unsigned max_refusals_recorded = 64;

// What a sender says in good faith and takes up again by itself.
bool is_passing(const Error& error) {
  return error.code() == federation::errors::out_of_turn ||
         error.code() == federation::errors::too_late;
}

// Everything but a failure of this machine: even what ends the process is said about its sender.
bool is_refusal(const Error& error) {
  return error.severity() != Severity::process || error.code().name.starts_with("federation.");
}

}  // namespace

Desk::Desk(Office office, border::ByteBudget& budget, const Clock& clock, DeskRules rules)
    : office_(office), budget_(budget), clock_(clock), rules_(rules) {
  std::vector<ExchangeId> exchanges = office_.folder.journalled();
  federation::Chain chain = open_older(exchanges);
  ExchangeId newest = exchanges.empty() ? ExchangeId{} : exchanges.back();
  run_ = std::make_unique<RoundRun>(office_, newest, chain);
  for (const std::string& note : run_->notes()) notes_.push_back(note);
  if (!exchanges.empty()) {
    notes_.push_back("goes on with exchange " + newest.text() + ", phase " +
                     std::string(federation::name_of(run_->machine().phase())));
  }
  for (SiteId site : run_->ready_sites()) reached_[site] = newest.round;
  advance();
  forget_older();
  // Keys of aggregates that nobody missed or wants any more.
  for (const ExchangeId& exchange : office_.secrets.open_exchanges()) {
    if (exchange < run_->terms().exchange && !missed_.contains(exchange)) {
      office_.secrets.erase(exchange);
    }
  }
}

// What the newest exchange starts from, and everything that some site may still lack: back to the
// exchange for which the last of them was ready. Oldest first, as it was said.
federation::Chain Desk::open_older(const std::vector<ExchangeId>& exchanges) {
  federation::Chain chain;
  if (exchanges.size() < 2) return chain;
  std::set<SiteId> seen = ready_in(office_.folder, exchanges.back());
  std::size_t oldest = exchanges.size() - 1;
  do {
    --oldest;
    for (SiteId site : ready_in(office_.folder, exchanges[oldest])) seen.insert(site);
  } while (oldest > 0 && seen.size() < office_.roster.roster.num_sites());
  for (std::size_t i = oldest; i + 1 < exchanges.size(); ++i) {
    auto older = std::make_unique<RoundRun>(office_, exchanges[i], chain, true);
    for (SiteId site : older->ready_sites()) reached_[site] = exchanges[i].round;
    if (older->closed()) chain = older->machine().chain();
    if (!older->machine().missed().empty()) missed_.emplace(exchanges[i], std::move(older));
  }
  return chain;
}

// ---- messages --------------------------------------------------------------------------------

template <typename Act>
auto Desk::guarded(SiteId peer, Act&& act) -> decltype(act()) {
  try {
    return act();
  } catch (const Error& error) {
    if (error.severity() == Severity::process) {
      std::lock_guard lock(mutex_);
      if (!fatal_) fatal_ = std::current_exception();
      notes_.push_back("cannot go on, after a request of " + border::text_of(peer) + ": " +
                       error.what());
      changed_.notify_all();
    }
    throw;
  } catch (...) {
    std::lock_guard lock(mutex_);
    if (!fatal_) fatal_ = std::current_exception();
    changed_.notify_all();
    throw;
  }
}

void Desk::accept_message(SiteId road_peer, ByteView wire) {
  guarded(road_peer, [&] {
    Digest digest = crypto::sha256(wire);
    std::lock_guard lock(mutex_);
    require_going();
    try {
      take_message(road_peer, wire, digest);
    } catch (const Error& error) {
      if (is_refusal(error)) refused(road_peer, error, digest);
      throw;
    }
    changed_.notify_all();
  });
}

// The order of the replay rules: a known digest first, in any round; then whether it is of this run
// at all; then contradictions and closed exchanges; then the protocol.
void Desk::take_message(SiteId, ByteView wire, const Digest& digest) {
  if (office_.receipts.knows(border::read_claim(wire).exchange, digest)) return;
  border::OpenedMessage message = border::open_message(wire, office_.self, office_.peers);
  federation::check_run(run_->terms(), message.header, run_->machine().manifest_digest());
  // Evidence before all else: a second ready is no less a contradiction for being late.
  office_.receipts.require_consistent(message);
  const bool is_ready = message.header.type == border::MessageType::ready;
  if (is_ready && message.header.exchange < run_->terms().exchange) {
    throw Error(federation::errors::too_late,
                {.what = "the round is closed for which " +
                         run_->terms().text_of(message.header.sender) + " is ready",
                 .where = "coordinator",
                 .found = "exchange " + message.header.exchange.text(),
                 .expected = "exchange " + run_->terms().exchange.text(),
                 .remedy = "take what the coordinator has to say; it is enough to catch up"});
  }
  office_.receipts.require_new(message);
  require_open(message.header.exchange).take(message, wire);
  if (is_ready) {
    reached_[message.header.sender] = message.header.exchange.round;
    forget_older();
  }
  advance();
}

void Desk::refused(SiteId peer, const Error& error, const Digest& subject) {
  ++num_refused_;
  const std::string note =
      "refused a message over the connection of " + border::text_of(peer) + ": " + error.what();
  // Once in each exchange is enough, and it leaves the bounded records to what matters.
  if (is_passing(error)) {
    const ExchangeId& exchange = run_->terms().exchange;
    auto [noted, first] = passing_noted_.try_emplace(peer, exchange);
    if (first || std::exchange(noted->second, exchange) != exchange) notes_.push_back(note);
    return;
  }
  if (refusals_recorded_[peer] >= max_refusals_recorded) return;
  if (++refusals_recorded_[peer] == max_refusals_recorded) {
    notes_.push_back("further refusals of " + border::text_of(peer) + " are only counted");
  }
  notes_.push_back(note);
  office_.ledger.append(ledger::refusal_entry(subject.hex(), error.code().name, error.what()));
}

void Desk::require_going() const {
  if (!fatal_) return;
  throw Error(border::errors::road_down, {.what = "the coordinator is ending",
                                          .where = "coordinator",
                                          .remedy = "try again when it is back"});
}

RoundRun& Desk::require_open(const ExchangeId& exchange) {
  require_going();
  if (run_->terms().exchange == exchange) return *run_;
  throw Error(errors::not_open, {.what = "another exchange is open",
                                 .where = "coordinator",
                                 .found = "exchange " + exchange.text(),
                                 .expected = "exchange " + run_->terms().exchange.text(),
                                 .remedy = "fetch what the coordinator has to say, then go on"});
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
  forget_older();
}

// Aggregates stay for the site that is furthest behind, within the bound, and for one round more:
// for the eye and for a site that is restored by hand. A site that is ready for a round has the
// aggregates before it durably.
void Desk::forget_older() {
  const std::uint32_t newest = run_->terms().exchange.round.value();
  std::uint32_t oldest = newest;
  for (SiteId site : office_.peers.sites()) {
    auto reached = reached_.find(site);
    oldest = std::min(oldest, reached == reached_.end() ? 0 : reached->second.value());
  }
  if (newest - oldest > rules_.keep_rounds) {
    oldest = newest - rules_.keep_rounds;
  }
  std::erase_if(missed_, [&](const auto& one) {
    if (one.first.round >= Round(oldest)) return false;
    office_.secrets.erase(one.first);
    return true;
  });
  const std::uint32_t kept = newest >= 2 ? std::min(oldest, newest - 2) : 0;
  office_.folder.erase_aggregates_before(Round(kept));
}

std::optional<border::Envelope> Desk::next_message(SiteId to, std::chrono::milliseconds wait) {
  return guarded(to, [&]() -> std::optional<border::Envelope> {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, wait, [&] { return fatal_ || office_.outbox.front(to) != nullptr; });
    const Outbox::Item* item = office_.outbox.front(to);
    if (item == nullptr || fatal_) return std::nullopt;
    SealedRecord sealed = item->log->sealed(item->offset);
    return border::restore_message(sealed.wire, office_.self, office_.peers);
  });
}

void Desk::acknowledged(SiteId by, const Digest& message) {
  std::lock_guard lock(mutex_);
  office_.outbox.acknowledged(by, message);
}

// ---- blocks ----------------------------------------------------------------------------------

std::shared_ptr<Upload> Desk::find_upload(SiteId site, const ExchangeId& exchange) {
  std::lock_guard lock(mutex_);
  return require_open(exchange).upload(site);
}

std::shared_ptr<Aggregate> Desk::find_aggregate(const ExchangeId& exchange) {
  std::lock_guard lock(mutex_);
  if (auto older = missed_.find(exchange); older != missed_.end()) {
    return older->second->aggregate();
  }
  if (exchange < run_->terms().exchange) {
    refuse_gone(exchange);
  }
  return require_open(exchange).aggregate();
}

void Desk::accept_block(SiteId road_peer, ByteView wire) {
  guarded(road_peer, [&] {
    border::FrameClaim claim = border::read_frame_claim(wire);
    auto sender = office_.peers.find_verify(claim.sender);
    if (!sender || claim.announced_by != border::MessageType::header) {
      throw Error(border::errors::no_header,
                  {.what = "a block frame that no header of a site announces",
                   .where = claim.place.text(),
                   .found = "sender " + claim.sender.hex(),
                   .expected = "a site of the roster",
                   .remedy = "send the header first"});
    }
    find_upload(*sender, claim.exchange)->accept(wire);
  });
}

std::uint64_t Desk::upload_position(SiteId of, const ExchangeId& exchange) {
  return guarded(of, [&] {
    auto upload = find_upload(of, exchange);
    stored_if_complete(of, exchange, *upload);
    return upload->durable();
  });
}

std::uint64_t Desk::flush_blocks(SiteId of, const ExchangeId& exchange) {
  return guarded(of, [&] {
    auto upload = find_upload(of, exchange);
    kill_point("coordinator.before_flush");
    std::uint64_t position = upload->flush();
    kill_point("coordinator.after_flush");
    stored_if_complete(of, exchange, *upload);
    return position;
  });
}

void Desk::stored_if_complete(SiteId site, const ExchangeId& exchange, const Upload& upload) {
  if (!upload.complete()) return;
  std::lock_guard lock(mutex_);
  RoundRun& run = require_open(exchange);
  if (run.is_stored(site)) return;
  run.take(federation::UploadStored{site});
  changed_.notify_all();
}

std::uint64_t Desk::largest_frame_bytes(const ExchangeId& exchange) {
  return find_aggregate(exchange)->largest_frame_bytes();
}

border::Envelope Desk::aggregate_block(SiteId to, const ExchangeId& exchange,
                                       std::uint64_t position) {
  return guarded(to, [&] { return find_aggregate(exchange)->frame(position); });
}

// ---- the loop's side -------------------------------------------------------------------------

void Desk::work(const std::function<bool()>& stop) {
  std::vector<std::shared_ptr<Upload>> uploads;
  std::optional<federation::ExchangeTerms> terms;
  {
    std::lock_guard lock(mutex_);
    if (fatal_) std::rethrow_exception(fatal_);
    watch_deadline();
    if (!run_->sum_wanted()) return;
    uploads = run_->uploads();
    terms = run_->terms();
  }
  // Nothing else changes an exchange that waits for its sum, so the lock is not held.
  auto sum = add_uploads(office_.folder, *terms, uploads, budget_, stop);
  if (!sum) return;
  kill_point("coordinator.after_sum");
  std::lock_guard lock(mutex_);
  run_->take(federation::Summed{sum->table, sum->total_weight});
  changed_.notify_all();
}

// The clock counts in this process alone: a restarted coordinator counts from the beginning, and
// what it decided stands in the journal.
void Desk::watch_deadline() {
  if (rules_.deadline.count() == 0 || !run_->machine().may_go_on()) {
    deadline_.reset();
    return;
  }
  const std::chrono::nanoseconds now = clock_.monotonic();
  if (!deadline_) deadline_ = now + rules_.deadline;
  if (now < *deadline_) return;
  deadline_.reset();
  run_->take(federation::Deadline{});
  std::string missing;
  for (SiteId site : run_->machine().missed()) {
    missing += (missing.empty() ? "" : ", ") + run_->terms().text_of(site);
  }
  notes_.push_back("round " + std::to_string(run_->terms().exchange.round.value()) +
                   " begins without " + missing + ": the deadline is over");
  changed_.notify_all();
}

void Desk::wait(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  if (fatal_ || run_->sum_wanted() || run_->finished()) return;
  changed_.wait_for(lock, limit, [&] { return fatal_ || run_->sum_wanted() || run_->finished(); });
}

bool Desk::finished() {
  std::lock_guard lock(mutex_);
  return run_->finished();
}

DeskStatus Desk::status() {
  std::lock_guard lock(mutex_);
  const auto& machine = run_->machine();
  DeskStatus out;
  out.round = run_->terms().exchange.round;
  out.num_rounds = office_.agreement.agreement.rounds;
  out.phase = federation::name_of(machine.phase());
  for (SiteId site : machine.waiting_for()) {
    out.waiting_for.push_back(run_->terms().text_of(site));
    if (machine.phase() != federation::CoordinatorPhase::uploading) continue;
    try {
      const auto& upload = run_->upload(site);
      out.uploads[run_->terms().text_of(site)] = std::to_string(upload->durable()) + " of " +
                                                 std::to_string(upload->table().num_leaves()) +
                                                 " blocks";
    } catch (const Error&) {
      out.uploads[run_->terms().text_of(site)] = "no header yet";
    }
  }
  for (SiteId site : machine.missed()) out.without.push_back(run_->terms().text_of(site));
  if (deadline_) {
    const auto left = *deadline_ - clock_.monotonic();
    out.seconds_left =
        std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::seconds>(left).count());
  }
  out.last_closed = last_closed_;
  if (run_->finished()) out.final_state = run_->final_state().hex();
  out.num_refused = num_refused_;
  return out;
}

std::vector<std::string> Desk::take_notes() {
  std::lock_guard lock(mutex_);
  return std::exchange(notes_, {});
}

}  // namespace concordat::coordinator
