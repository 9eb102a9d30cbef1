#include "concordat/site/border_loop.hpp"

#include <algorithm>

#include "concordat/border/errors.hpp"
#include "concordat/core/kill_point.hpp"
#include "concordat/core/log.hpp"
#include "site/border_state.hpp"
#include "site/donation_request.hpp"

namespace concordat::site {

using border::MessageType;
using federation::SitePhase;

namespace {

constexpr std::chrono::milliseconds stop_look{200};
constexpr std::chrono::milliseconds first_retry{200};
constexpr std::chrono::seconds complaint_every{60};
constexpr std::chrono::seconds long_wait_every{600};
// Room for a body with a fixed part and a part per site, in every message without frames.
constexpr std::uint64_t body_bytes = 16U << 10U;
constexpr std::uint64_t body_bytes_per_site = 8U << 10U;

governance::Stage stage_of(SitePhase phase) {
  using governance::Stage;
  switch (phase) {
    case SitePhase::idle:
    case SitePhase::ready:
    case SitePhase::finished:
      return Stage::idle;
    case SitePhase::missed:
    case SitePhase::cosigned:
      return Stage::manifest_known;
    case SitePhase::going:
      return Stage::all_cosigned;
    case SitePhase::committed:
      return Stage::committed;
    case SitePhase::agreed:
    case SitePhase::fetching:
      return Stage::survivors_known;
    case SitePhase::received:
      return Stage::aggregate_known;
    case SitePhase::closed:
      return Stage::closed;
  }
  return Stage::idle;
}

// Refusals that time or the coordinator's operator mends: it is starting, stopping, out of space,
// or runs on an older copy of its folder.
bool worth_a_retry(const Error& error) {
  if (error.code() == border::errors::road_down) return true;
  if (error.code() == federation::errors::out_of_turn) return true;
  if (!(error.code() == border::errors::peer_refused)) return false;
  constexpr std::string_view passing[] = {
      "federation.out_of_turn", "border.road_stopped",  "border.road_down",  "core.disk_full",
      "core.io_failed",         "coordinator.not_open", "coordinator.behind"};
  return std::any_of(std::begin(passing), std::end(passing),
                     [&](std::string_view code) { return error.fields().found == code; });
}

}  // namespace

BorderLoop::BorderLoop(BorderSeams seams, BorderPlan plan, const crypto::SiteKeys& keys)
    : state_(std::make_unique<State>(seams, std::move(plan), keys)) {}

BorderLoop::~BorderLoop() = default;

ExitCode BorderLoop::exit_code() const {
  CONCORDAT_REQUIRE(state_->over, "the loop goes on");
  return state_->code;
}

BorderLoop::Position BorderLoop::position() const {
  const federation::SiteExchange& machine = state_->round->machine;
  return {machine.terms().exchange.round, std::string(name_of(machine.phase()))};
}

std::string BorderLoop::status() const {
  const Position now = position();
  return "round " + std::to_string(now.round.value()) + ", " + now.phase;
}

bool BorderLoop::turn() {
  State& state = *state_;
  if (state.over) {
    if (state.take_handed()) state.ledger.checkpoint();
    return false;
  }
  if (state.stop_asked()) {
    state.take_handed();
    state.ledger.checkpoint();
    state.over = true;
    state.code = ExitCode::saved;
    return false;
  }
  try {
    bool acted = state.step();
    state.retry_wait = std::chrono::nanoseconds(0);
    state.next_complaint = std::chrono::nanoseconds(0);
    state.next_wait_note = std::chrono::nanoseconds(0);
    if (!acted) state.pause(state.plan.poll_wait);
  } catch (const Error& error) {
    if (error.code() == border::errors::road_stopped) return !state.stop_asked();
    // No trouble: this road takes its time, and has waited for a part of it.
    if (error.code() == border::errors::road_waits) {
      state.note_wait(error);
      return true;
    }
    if (!worth_a_retry(error)) throw;
    state.back_off(error);
  }
  return true;
}

// One thing after the other, the local ones first: they need no coordinator.
bool BorderLoop::State::step() {
  const bool took = take_handed();
  watch_need();
  if (round->finished) {
    // The last thing that a site can do for another.
    if (donation || read_donation_request(seams.fs, folder.root())) return donate_some();
    ledger.checkpoint();
    say("final state acknowledged; the run is over");
    over = true;
    return true;
  }
  if (close_exchange() || start_round()) return true;
  bool acted = answer_keys() || took;
  if (take_commit() || send_pending() || download_some()) return true;
  if (donate_some()) {
    // Giving takes as long as the recipient does: what is said meanwhile is heard.
    if (awaits_message()) receive(std::chrono::milliseconds(0));
    return true;
  }
  if (round->machine.terms().final && round->machine.phase() == SitePhase::ready &&
      !round->ready_too_late) {
    // What a crash left unacknowledged, so that the coordinator waits for nobody.
    while (receive(std::chrono::milliseconds(0))) {
    }
    accept({{}, 0, federation::FinalReadyAcknowledged{}}, "border.finish_journaled");
    return true;
  }
  if (awaits_message()) {
    // Without a job the next thing to come may be its key.
    receive(round->machine.phase() == SitePhase::idle ? std::min(plan.poll_wait, plan.fetch_wait)
                                                      : plan.fetch_wait);
    return true;  // the fetch has waited
  }
  return acted;
}

void BorderLoop::State::write_closed(const federation::Close& close) {
  const federation::SiteExchange& machine = round->machine;
  folder.write_closed(exchange(), {.manifest = close.record.manifest,
                                   .survivors = close.record.survivors(),
                                   .total_weight = close.record.total_weight,
                                   .aggregate_root = close.record.root,
                                   .state_digest = machine.manifest().state,
                                   .took_part = !machine.missed()});
}

bool BorderLoop::State::close_exchange() {
  if (!round->close) return false;
  const federation::Close close = *round->close;
  const federation::SiteExchange& machine = round->machine;
  const ExchangeId over_id = exchange();
  if (machine.forgone()) {
    drop_partial_aggregate();
    next_look_at_need = {};
  } else {
    write_closed(close);
  }
  kill_point("border.closed_written");
  folder.erase_secrets(over_id);
  secrets.erase(over_id);
  seams.fs.remove(tree_file());
  kill_point("border.secrets_erased");
  receipts.close(over_id);
  ledger.checkpoint();
  OverRecord record{over_id.round, machine.manifest_digest(), machine.chain()};
  journal->append(encode(record));
  kill_point("border.over_journaled");
  const char* how = machine.forgone()  ? "missed; it goes on without its aggregate, summed weight "
                    : machine.missed() ? "missed; its aggregate is here, summed weight "
                                       : "closed, summed weight ";
  say(how + std::to_string(close.record.total_weight));
  remember_exchange();
  begin_round(over_id.round.next(), record.chain);
  return true;
}

// Entries of `ingest` and of the training job. The ranks hand theirs over before the key file that
// the same round's work starts from, so they stand in the ledger before it.
bool BorderLoop::State::take_handed() {
  const ledger::Taken taken = desk.take(ledger);
  if (taken.any()) {
    log::info("entries handed over: " + std::to_string(taken.written) + " written, " +
              std::to_string(taken.refused) + " turned away");
  }
  return taken.any();
}

bool BorderLoop::State::stop_asked() {
  StopKind kind = stops.poll();
  return kind == StopKind::stop || kind == StopKind::requeue;
}

// Sleeps in slices, so that neither a stop request nor an entry waits for a back-off.
void BorderLoop::State::pause(std::chrono::nanoseconds wait) {
  while (wait > std::chrono::nanoseconds(0) && !stop_asked()) {
    auto slice = std::min<std::chrono::nanoseconds>(wait, stop_look);
    seams.clock.sleep(slice);
    wait -= slice;
    // Whoever waits for an index does not wait for the coordinator to come back.
    take_handed();
  }
}

void BorderLoop::State::back_off(const Error& error) {
  auto now = seams.clock.monotonic();
  if (next_complaint.count() == 0 || now >= next_complaint) {
    next_complaint = now + complaint_every;
    log::warn(std::string("no progress with the coordinator, trying again: ") + error.what());
  }
  retry_wait = std::min<std::chrono::nanoseconds>(
      retry_wait.count() == 0 ? std::chrono::nanoseconds(first_retry) : 2 * retry_wait,
      plan.retry_limit);
  pause(retry_wait);
}

// The first minute is nothing to speak of.
void BorderLoop::State::note_wait(const Error& error) {
  const auto now = seams.clock.monotonic();
  if (next_wait_note.count() == 0) next_wait_note = now + complaint_every;
  if (now < next_wait_note) return;
  next_wait_note = now + long_wait_every;
  log::info("still waits for the coordinator: " + error.fields().found + " (" +
            error.fields().where + ")");
}

void BorderLoop::State::say(std::string_view what) const {
  log::info("round " + std::to_string(exchange().round.value()) + ": " + std::string(what));
}

governance::PolicyContext BorderLoop::State::policy() const {
  const federation::SiteExchange& machine = round->machine;
  const federation::ExchangeTerms& terms = machine.terms();
  governance::PolicyContext context;
  context.self = own;
  context.sites = peers.sites();
  context.caps.num_rounds = plan.agreement.agreement.rounds;
  context.caps.max_message_bytes =
      border::sealed_message_bytes(body_bytes + body_bytes_per_site * terms.num_sites());
  context.caps.max_upload_bytes =
      context.caps.max_message_bytes + terms.table({}).all_frame_bytes();
  context.caps.max_aggregate_bytes = context.caps.max_upload_bytes;
  context.exchange.id = terms.exchange;
  context.exchange.stage = stage_of(machine.phase());
  context.exchange.agreement = terms.agreement;
  context.exchange.manifest = machine.manifest_digest();
  if (!machine.manifest_digest().is_zero()) {
    context.exchange.participants = machine.manifest().sites();
  }
  return context;
}

}  // namespace concordat::site
