#include <algorithm>

#include "concordat/border/errors.hpp"
#include "concordat/coordinator/coordinator.hpp"
#include "concordat/coordinator/errors.hpp"
#include "concordat/core/log.hpp"
#include "concordat/core/stop.hpp"
#include "concordat/federation/terms.hpp"
#include "concordat/observe/memory.hpp"
#include "coordinator/exchange_log.hpp"
#include "coordinator/lost_journal.hpp"
#include "coordinator/status.hpp"

namespace concordat::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Three blocks of the largest size that the agreement allows must fit into the budget.
void require_budget(const federation::RunAgreement& run, const border::ByteBudget& budget) {
  std::uint64_t block =
      (std::uint64_t{1} << run.block_log2) *
      std::max(exact::lane_bytes(run.first_round.lane), exact::lane_bytes(run.later_rounds.lane));
  constexpr std::uint64_t frame_overhead = 4096;
  std::uint64_t least = 3 * (block + frame_overhead);
  if (budget.limit_bytes() >= least) return;
  throw Error(border::errors::over_budget,
              {.what = "the budget of bytes in flight is too small for one block",
               .where = "coordinator.buffer_mib",
               .found = std::to_string(budget.limit_bytes()) + " bytes",
               .expected = "at least " + std::to_string(least) + " bytes",
               .remedy = "raise it; three blocks of the agreement must fit"});
}

// With few sites a round needs them all, and a deadline would be waited for in vain.
void require_deadline_of_use(const CoordinatorPlan& plan) {
  if (plan.deadline.count() == 0) return;
  const federation::RunAgreement& run = plan.agreement.agreement;
  const std::uint32_t num_sites = plan.roster.roster.num_sites();
  const std::uint32_t least = federation::least_participants(num_sites, run.minimum, run.colluding);
  if (least < num_sites) return;
  throw Error(concordat::errors::usage,
              {.what = "a round of this run never begins without a site, so a deadline has no use",
               .where = "coordinator.deadline_s",
               .found = std::to_string(num_sites) + " sites, exchange.minimum " +
                        std::to_string(run.minimum) + ", exchange.colluding " +
                        std::to_string(run.colluding),
               .expected = "fewer than " + std::to_string(num_sites) +
                           " participants enough; this run needs " + std::to_string(least),
               .remedy = "set it to 0, or agree on a run with more sites or a smaller minimum"});
}

// Before anything is written: the ledger must not accept a run that its journals are not of.
void require_same_run(const CoordinatorFolder& folder, const Digest& agreement) {
  const std::vector<ExchangeId> exchanges = folder.journalled();
  if (exchanges.empty()) return;
  const std::string where = folder.journal(exchanges.back()).string();
  const auto check = [&](const LogRecord& record, std::uint64_t) {
    if (const auto* begin = std::get_if<BeginRecord>(&record)) {
      require_agreement(*begin, agreement, where);
    }
  };
  // Opening cuts a torn end, so it has to be said here.
  const ExchangeLog opened = ExchangeLog::open(folder, exchanges.back(), check);
  if (opened.torn_bytes() == 0) return;
  log::warn(where + ": cut " + std::to_string(opened.torn_bytes()) +
            " bytes that were never acknowledged");
}

void require_self(const federation::SignedRoster& roster, const crypto::SiteKeys& keys) {
  if (federation::require_member(roster, keys.public_keys()) == coordinator_id) return;
  throw Error(errors::not_coordinator, {.what = "these are not the coordinator's keys",
                                        .where = "keys of " + keys.name,
                                        .found = "a site of the roster",
                                        .expected = roster.roster.coordinator.name,
                                        .remedy = "give the coordinator a folder of its own"});
}

}  // namespace

struct CoordinatorLoop::State {
  State(CoordinatorSeams the_seams, CoordinatorPlan the_plan, const crypto::SiteKeys& keys)
      : seams(the_seams),
        plan(std::move(the_plan)),
        name(keys.name),
        folder(seams.fs, plan.folder),
        lock(folder.lock(), "coordinator"),
        peers(federation::make_directory(plan.roster)),
        ledger(ledger::Ledger::open(seams.fs, folder.ledger(),
                                    ledger::log_origin(keys.name, keys.log.verify_key()), keys.log,
                                    seams.clock)),
        receipts(seams.fs, folder.receipts()),
        secrets(seams.fs, folder.secrets(), keys.data_key.view(), plan.roster.federation(),
                seams.random),
        reached(folder, plan.roster.roster.num_sites()),
        stops(seams.fs, plan.folder, seams.clock) {
    require_self(plan.roster, keys);
    require_budget(plan.agreement.agreement, seams.budget);
    require_deadline_of_use(plan);
    require_same_run(folder, plan.agreement.digest);
    for (const std::string& note : ledger.recovery_notes()) log::warn(note);
    ledger.append(ledger::agreement_entry({.federation = plan.roster.federation(),
                                           .roster = plan.roster.digest,
                                           .agreement = plan.agreement.digest,
                                           .initial_state = plan.agreement.agreement.initial_state,
                                           .self = ledger::party(coordinator_id),
                                           .name = keys.name}));
    require_journals(folder, ledger, plan.roster.roster.num_sites());
    desk.emplace(Office{folder, plan.roster, plan.agreement, peers,
                        border::Identity{coordinator_id, keys.signing, keys.sealing}, seams.random,
                        ledger, receipts, secrets, outbox, reached},
                 seams.budget, seams.clock, DeskRules{plan.deadline, plan.keep_rounds});
    seams.road.start(*desk);
    road_started = true;
  }

  ~State() {
    if (road_started) seams.road.stop();
  }

  bool turn() {
    for (const std::string& note : desk->take_notes()) log::info(note);
    StopKind kind = stops.poll();
    if (kind == StopKind::stop || kind == StopKind::requeue) return end(ExitCode::saved, "saved");
    desk->work([this] {
      StopKind now = stops.poll();
      return now == StopKind::stop || now == StopKind::requeue;
    });
    say(false);
    if (desk->finished() && lingered()) return end(ExitCode::done, "done");
    desk->wait(plan.poll_wait);
    if (desk->finished()) seams.clock.sleep(milliseconds(50));
    return true;
  }

  /// Whether every site has had the chance to hear that its last ready arrived.
  bool lingered() {
    nanoseconds now = seams.clock.monotonic();
    if (!finished_at) finished_at = now;
    std::vector<SiteId> connected = seams.road.connected();
    for (SiteId site : connected) seen.insert(site);
    bool gone = connected.empty() && seen.size() == peers.sites().size();
    return gone || now - *finished_at >= plan.linger;
  }

  /// A line when something changed or has not for long; the status page when it changed.
  void say(bool always) {
    nanoseconds now = seams.clock.monotonic();
    std::vector<SiteId> ids = seams.road.connected();
    if (!desk->finished()) seen.insert(ids.begin(), ids.end());
    StatusPage page;
    page.name = name;
    page.spool = plan.spool.lexically_normal().string();
    page.desk = desk->status();
    for (SiteId id : ids) page.connected.push_back(peers.at(id).name);
    std::sort(page.connected.begin(), page.connected.end());
    page.peak_in_flight_bytes = seams.budget.peak_bytes();
    page.end = end_text;
    std::string line = line_of(page.desk);
    std::string stage = std::to_string(page.desk.round.value()) + " " + page.desk.phase;
    if (stage != said || (line != said_line && now - said_at >= plan.say_every)) {
      log::info(line);
      said = stage;
      said_line = line;
      said_at = now;
    } else if (now - said_at >= 20 * plan.say_every) {
      log::info("still " + line);
      said_at = now;
    }
    // At most twice a second: the file is for people.
    bool due = !written_at || now - *written_at >= milliseconds(500);
    if (!always && (!due || page == written)) return;
    written = page;
    written_at = now;
    page.unix_seconds = seams.clock.unix_seconds();
    page.peak_resident_bytes = observe::process_memory().peak_bytes;
    write_atomically(seams.fs, folder.status(), as_bytes(to_json(page)));
  }

  bool end(ExitCode exit, std::string text) {
    seams.road.stop();
    road_started = false;
    for (const std::string& note : desk->take_notes()) log::info(note);
    ledger.checkpoint();
    code = exit;
    end_text = std::move(text);
    say(true);
    log::info("peak memory " + std::to_string(observe::process_memory().peak_bytes >> 20U) +
              " MiB; at most " + std::to_string(seams.budget.peak_bytes() >> 20U) + " of " +
              std::to_string(seams.budget.limit_bytes() >> 20U) + " MiB in flight");
    return false;
  }

  CoordinatorSeams seams;
  CoordinatorPlan plan;
  std::string name;
  CoordinatorFolder folder;
  RoleLock lock;
  border::PeerDirectory peers;
  ledger::Ledger ledger;
  border::ReceiptBook receipts;
  crypto::ExchangeSecrets secrets;
  Outbox outbox;
  Reached reached;
  StopRequests stops;
  std::optional<Desk> desk;
  bool road_started = false;
  ExitCode code = ExitCode::done;
  std::string end_text;
  std::string said;  ///< round and phase of the last line
  std::string said_line;
  nanoseconds said_at{0};
  StatusPage written;
  std::optional<nanoseconds> written_at;
  std::optional<nanoseconds> finished_at;
  std::set<SiteId> seen;
};

CoordinatorLoop::CoordinatorLoop(CoordinatorSeams seams, CoordinatorPlan plan,
                                 const crypto::SiteKeys& keys)
    : state_(std::make_unique<State>(seams, std::move(plan), keys)) {}

CoordinatorLoop::~CoordinatorLoop() = default;

bool CoordinatorLoop::turn() {
  try {
    return state_->turn();
  } catch (const Error& error) {
    // The page names the reason; the error itself goes to the caller.
    state_->end_text = error.code().name;
    state_->say(true);
    throw;
  }
}

ExitCode CoordinatorLoop::exit_code() const { return state_->code; }

std::string CoordinatorLoop::status() const { return line_of(state_->desk->status()); }

}  // namespace concordat::coordinator
