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
constexpr std::size_t max_serving = 4;

// What a sender says in good faith and takes up again by itself.
bool is_passing(const Error& error) {
  return error.code() == federation::errors::out_of_turn ||
         error.code() == federation::errors::too_late || error.code() == errors::relay_full ||
         error.code() == errors::behind;
}

// Everything but a failure of this machine: even what ends the process is said about its sender.
bool is_refusal(const Error& error) {
  return error.severity() != Severity::process || error.code().name.starts_with("federation.");
}

}  // namespace

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
  const border::Claim claim = border::read_claim(wire);
  if (claim.type == border::MessageType::state) {
    relay_.accept(wire, digest, policy_context(office_, run_->machine()));
    return;
  }
  if (office_.receipts.knows(claim.exchange, digest)) return;
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
  // A site enters a round with the closing record of the one before, which stood in a journal here.
  if (is_ready && message.header.exchange > run_->terms().exchange) {
    throw Error(
        errors::behind,
        {.what = run_->terms().text_of(message.header.sender) +
                 " is ready for a round that this coordinator has not begun",
         .where = "coordinator",
         .found = "exchange " + message.header.exchange.text(),
         .expected = "exchange " + run_->terms().exchange.text(),
         .remedy = "the coordinator's folder is an older copy: restore journal/ and ledger/ "
                   "as they were; the sites wait, and lose nothing"});
  }
  office_.receipts.require_new(message);
  require_open(message.header.exchange).take(message, wire);
  if (is_ready) {
    office_.reached.raise(message.header.sender, message.header.exchange.round);
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

std::optional<border::Envelope> Desk::next_message(SiteId to, std::chrono::milliseconds wait) {
  return guarded(to, [&]() -> std::optional<border::Envelope> {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, wait, [&] {
      return fatal_ || office_.outbox.front(to) != nullptr || relay_.has(to);
    });
    if (fatal_) return std::nullopt;
    const Outbox::Item* item = office_.outbox.front(to);
    // The coordinator's own word first: what a donor's state is held against is in it.
    if (item == nullptr) {
      if (!relay_.has(to)) return std::nullopt;
      return relay_.front(to, policy_context(office_, run_->machine()));
    }
    SealedRecord sealed = office_.outbox.read(office_.folder, *item);
    return border::restore_message(sealed.wire, office_.self, office_.peers);
  });
}

void Desk::acknowledged(SiteId by, const Digest& message) {
  guarded(by, [&] {
    std::lock_guard lock(mutex_);
    relay_.acknowledged(by, message);
    const std::optional<Round> closed = office_.outbox.acknowledged(by, message);
    if (!closed || !office_.reached.raise(by, closed->next())) return;
    office_.reached.save();
    forget_older();
  });
}

// A few old aggregates are open at a time, however many are kept.
std::shared_ptr<Aggregate> Desk::serve(std::shared_ptr<Aggregate> aggregate) {
  if (std::ranges::find(serving_, aggregate) != serving_.end()) return aggregate;
  serving_.push_back(aggregate);
  if (serving_.size() > max_serving) {
    serving_.front()->rest();
    serving_.pop_front();
  }
  return aggregate;
}

// ---- blocks ----------------------------------------------------------------------------------

std::shared_ptr<Upload> Desk::find_upload(SiteId site, const ExchangeId& exchange) {
  std::lock_guard lock(mutex_);
  return require_open(exchange).upload(site);
}

std::shared_ptr<Aggregate> Desk::find_aggregate(const ExchangeId& exchange) {
  std::lock_guard lock(mutex_);
  if (auto older = missed_.find(exchange); older != missed_.end()) {
    return serve(older->second->aggregate());
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
  if (deadline_) out.begins_unix = begins_unix_;
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
