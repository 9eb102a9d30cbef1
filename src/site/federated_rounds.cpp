#include "site/federated_rounds.hpp"

#include <cstdio>

#include "concordat/comm/agree.hpp"
#include "concordat/core/kill_point.hpp"
#include "concordat/core/log.hpp"
#include "concordat/device/ops/quantise.hpp"
#include "concordat/site/errors.hpp"
#include "concordat/site/ranks_exchange.hpp"
#include "site/checkpoint_entries.hpp"
#include "site/donation_request.hpp"
#include "site/run_folder.hpp"
#include "site/wait_notice.hpp"

namespace concordat::site {
namespace {

class Rounds {
 public:
  Rounds(Engine& engine, JobControl& control, const FederationTerms& terms, const JobSeams& seams)
      : engine_(engine),
        control_(control),
        fs_(seams.fs),
        rounds_(terms.agreement.agreement.rounds),
        inner_steps_(terms.agreement.agreement.inner_steps),
        scope_(ledger::run_scope(terms.agreement.digest)),
        outer_terms_(terms_of(terms.agreement.agreement)),
        weights_(host_tensor(Dtype::f32, {engine.trainer().layout().num_local})),
        exchange_(engine.comm(), {seams.fs, seams.clock, seams.random},
                  engine.settings().run_folder(), outer_terms_, engine.trainer().space(),
                  engine.trainer().layout()),
        entries_(engine.settings(), engine.comm(), seams, CheckpointEntries::Writes::border),
        notice_(engine.settings().folder, engine.settings().run_folder(), seams.fs, seams.clock) {
    if (device::Exec& exec = engine.session().exec(); device::quantises_elsewhere(exec)) {
      exchange_.quantise_on(exec);
    }
    open(terms.agreement.agreement.initial_state);
    control_.watch([this] { return exchange_.seems_over() || needed().has_value(); });
  }
  ~Rounds() { control_.watch({}); }
  Rounds(const Rounds&) = delete;
  Rounds& operator=(const Rounds&) = delete;

  ExitCode run() {
    while (exchange_.round().value() < rounds_) {
      catch_up();
      if (exchange_.round().value() == rounds_) break;
      if (!inner_steps()) return stopped();
      if (exchange_.missed()) continue;
      if (!exchange()) return stopped();
    }
    // The final state is durable before it is proved: after that the border may be gone.
    save_now();
    exchange_.announce(generation_);
    entries_.wait_while_border_runs(control_);
    say("the run is complete after " + std::to_string(rounds_) + " rounds; state " +
        exchange_.state_digest().hex());
    return ExitCode::done;
  }

 private:
  bool root() const { return engine_.comm().rank() == 0; }
  void say(const std::string& line) const {
    if (root()) log::info(line);
  }

  void open(const Digest& agreed_state) {
    auto restored = engine_.restore(exchange_.named_state());
    const auto donated = exchange_.donated();
    if (donated && (!restored || restored->position.round < donated->value())) {
      take_donated();
    } else if (restored) {
      exchange_.resume(Round(static_cast<std::uint32_t>(restored->position.round)));
      generation_ = restored->name;
      // What only the fast tier has is written again before anything is built upon it.
      if (!restored->fast) begun_ = {engine_.trainer().next_step(), exchange_.round()};
    } else {
      engine_.trainer().read_weights(weights_);
      exchange_.start(weights_);
      check_initial_state(agreed_state);
    }
    require_state();
    if (exchange_.round().value() < rounds_) {
      control_.started(engine_.trainer().next_step(), exchange_.round().value());
    }
    engine_.report_steps(static_cast<std::int64_t>(rounds_) * inner_steps_);
    if (exchange_.round().value() < rounds_) exchange_.announce(generation_);
  }

  // What is lost here comes from another site: the state that the newest closed exchange started
  // from, whose outer step is taken like that of a missed round. Moments begin anew.
  void take_donated() {
    exchange_.take_donated();
    exchange_.read_shared_model(weights_);
    engine_.trainer().write_weights(weights_);
    engine_.trainer().skip_to(static_cast<std::int64_t>(exchange_.round().value()) * inner_steps_);
    say("takes the state of round " + std::to_string(exchange_.round().value()) +
        " that another site gave: " + exchange_.state_digest().hex().substr(0, 16));
  }

  // Rank 0: the border lacks rounds that this job would have to take.
  std::optional<NeededState> needed() const {
    const auto found = read_needed_state(fs_, engine_.settings().run_folder());
    return found && exchange_.round() <= found->through ? found : std::nullopt;
  }

  // A job that began from the initial state or an old generation, when all others are rounds ahead,
  // would wait for ever, and so would one whose border hears that the aggregates of the rounds it
  // missed are gone.
  void require_state() {
    comm::agreed(engine_.comm(), [&] {
      if (!root()) return;
      const auto from = needed();
      if (!from) return;
      if (!engine_.settings().job.bring_back.empty()) {
        control_.leave_to_border({exchange_.round(), {}, {}});
      }
      throw Error(site::errors::needs_state,
                  {.what = "what this run needs is not in its folder any more",
                   .where = engine_.settings().run_folder().string(),
                   .found = "the state of round " + std::to_string(exchange_.round().value()) +
                            " here, and NEEDS_STATE of the border: the sums up to round " +
                            std::to_string(from->through.value()) + " are not all there",
                   .expected = "the state of " + from->donor,
                   .remedy = "have 'concordat donate' run at " + from->donor +
                             ", and start this job when the border says that the state is here; "
                             "or restore a newer generation from a copy"});
    });
  }

  // Generations that the next save leaves: what a site that may give its state gives.
  std::vector<std::string> pins() {
    const SiteSettings& settings = engine_.settings();
    const std::uint32_t round = exchange_.round().value();
    if (!root() || !settings.federation || settings.federation->donate_to.empty() || round == 0) {
      return {};
    }
    RunFolder folder(fs_, settings.run_folder());
    const auto commit = folder.read_commit({Round{round - 1}, {}, {}});
    if (!commit) return {};
    return {commit->generation};
  }

  void check_initial_state(const Digest& agreed) {
    comm::agreed(engine_.comm(), [&] {
      if (exchange_.state_digest() == agreed) return;
      throw Error(site::errors::state_differs,
                  {.what = "this site's initial state is not the agreement's",
                   .where = "round 0",
                   .found = exchange_.state_digest().hex(),
                   .expected = agreed.hex(),
                   .remedy = "compare 'concordat train --check' between the sites before signing"});
    });
  }

  // Rounds that went on without this site. Their steps are left out, so that the round decides over
  // rate and samples, as at the other sites; what was trained meanwhile counts in the next update.
  void catch_up() {
    if (!exchange_.missed()) return;
    const Round first = exchange_.round();
    engine_.trainer().read_weights(weights_);
    while (exchange_.round().value() < rounds_ && exchange_.missed()) {
      const std::uint32_t round = exchange_.round().value();
      exchange_.catch_up(weights_);
      say("round " + std::to_string(round) + " went on without this site; state " +
          exchange_.state_digest().hex().substr(0, 16));
      if (control_.stop_asked()) break;  // the next job catches up with what is left
    }
    engine_.trainer().write_weights(weights_);
    engine_.trainer().skip_to(static_cast<std::int64_t>(exchange_.round().value()) * inner_steps_);
    // A restart needs none of the aggregates again, unless it takes the generation before.
    save_now();
    forget_before(first);
    exchange_.forget_donated();
    kill_point("train.caught_up");
    if (exchange_.round().value() < rounds_) exchange_.announce(generation_);
  }

  // False when asked to stop; everything is saved then. True also when the round went on without
  // this site: what is left of its steps is not taken.
  bool inner_steps() {
    std::int64_t end = (static_cast<std::int64_t>(exchange_.round().value()) + 1) * inner_steps_;
    while (engine_.trainer().next_step() < end) {
      StopKind stop = control_.poll();
      engine_.poll_save(control_.all_idle());
      if (stop != StopKind::none) begin_save();
      if (stop == StopKind::stop || stop == StopKind::requeue) {
        engine_.finish_save();
        control_.poll();  // a wish to stay stopped that came while this was written
        return false;
      }
      if (control_.noticed()) {
        require_state();
        if (exchange_.missed()) return true;
      }
      engine_.trainer().step();
      kill_point("train.step");
      std::int64_t every = engine_.settings().local.save_every;
      if (every > 0 && engine_.trainer().next_step() % every == 0) begin_save();
    }
    return true;
  }

  bool exchange() {
    Round round = exchange_.round();
    save_now();
    kill_point("train.end_of_round");
    // What the update starts from has its place in the ledger before anything of it is masked.
    const auto notice = [this] {
      if (root()) notice_.look(exchange_.round());
    };
    if (!entries_.wait(control_, notice)) return false;
    control_.reached_exchange();
    engine_.trainer().read_weights(weights_);
    const SiteSettings& s = engine_.settings();
    auto tokens = static_cast<std::uint64_t>(inner_steps_ * s.local.batch * s.inner.length);
    auto end = exchange_.run(weights_, tokens, generation_, [&] {
      notice();
      require_state();
      return control_.leave_wait();
    });
    if (end == ExchangeEnd::stopped) {
      control_.leave_to_border({round, {}, {}});
      return false;
    }
    if (end == ExchangeEnd::missed) return true;
    kill_point("train.closed");
    engine_.trainer().write_weights(weights_);
    std::string line = "round " + std::to_string(round.value()) + " closed; state " +
                       exchange_.state_digest().hex().substr(0, 16);
    if (auto bits = engine_.validate([this] { return control_.stop_asked(); })) {
      char text[48];
      std::snprintf(text, sizeof text, "; validation %.4f bits per byte", *bits);
      line += text;
    } else if (engine_.settings().local.eval_windows > 0) {
      line += "; validation left out, as asked to stop";
    }
    say(line);
    forget_before(round);
    if (exchange_.round().value() < rounds_) exchange_.announce(generation_);
    return true;
  }

  // The last two generations stay, so a restart may repeat two exchanges before `round`.
  void forget_before(Round round) {
    if (round.value() > 2) exchange_.forget_before(Round(round.value() - 2));
  }

  // Starts to save the state as it is, unless the newest generation already holds it.
  void begin_save() {
    const Mark now{engine_.trainer().next_step(), exchange_.round()};
    if (begun_ == now) return;
    const Digest digest = exchange_.state_digest();
    engine_.begin_save(
        exchange_.round().value(), exchange_.named_state(),
        {{std::string(checkpoint::keys::state_digest), digest.hex()}},
        {.before_publish =
             [this, now, digest](const checkpoint::Saved& made) {
               ledger::Entry entry = ledger::checkpoint_entry(engine_.settings().run, made.name,
                                                              static_cast<std::uint64_t>(now.step),
                                                              now.round, digest, made.manifest);
               entry.key.insert(0, scope_);
               entries_.record(entry);
               kill_point("train.entry_handed");
             },
         .published = [this](const checkpoint::Saved& saved) { generation_ = saved.name; },
         .pins = pins()});
    begun_ = now;
  }

  // What is built upon it may begin when it is durable.
  void save_now() {
    begin_save();
    engine_.finish_save();
  }

  ExitCode stopped() {
    say("stopped as asked in round " + std::to_string(exchange_.round().value()) +
        "; run the same command to continue");
    return ExitCode::saved;
  }

  struct Mark {
    std::int64_t step = -1;
    Round round{};
    bool operator==(const Mark&) const = default;
  };

  Engine& engine_;
  JobControl& control_;
  FileSystem& fs_;
  std::uint32_t rounds_;
  std::int64_t inner_steps_;
  std::string scope_;
  OuterTerms outer_terms_;
  Tensor weights_;
  RanksExchange exchange_;
  CheckpointEntries entries_;
  WaitNotice notice_;
  std::string generation_ = "none";  ///< the newest that is durable
  Mark begun_;                       ///< of the newest that is saved or being saved
};

}  // namespace

ExitCode train_federated(Engine& engine, JobControl& control, const FederationTerms& terms,
                         const JobSeams& seams) {
  return Rounds(engine, control, terms, seams).run();
}

}  // namespace concordat::site
