// The desk: what the coordinator does with what arrives on a road, from many threads at once.
//
//   Desk desk(office, clock, budget);
//   road.start(desk);
//   while (...) { desk.work(stop); desk.wait(100ms); }
//
// One lock over machine, journal, ledger and outbox; blocks are verified and written outside of it.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>

#include "concordat/border/budget.hpp"
#include "concordat/border/road.hpp"
#include "concordat/core/clock.hpp"
#include "coordinator/round_run.hpp"
#include "coordinator/state_relay.hpp"

namespace concordat::coordinator {

/// What the status page and the log say.
struct DeskStatus {
  Round round{};
  std::uint32_t num_rounds = 0;
  std::string phase;
  std::vector<std::string> waiting_for;        ///< "brio (site 1)"
  std::vector<std::string> without;            ///< sites that the manifest leaves out
  std::optional<std::int64_t> begins_unix;     ///< when the round begins without the missing
  std::map<std::string, std::string> uploads;  ///< site: "3 of 185 blocks"
  std::string last_closed;                     ///< "round 2: W = 11520, aggregate 3fa0..."
  std::string final_state;                     ///< hex; empty before the end
  std::uint64_t num_refused = 0;
  bool operator==(const DeskStatus&) const = default;
};

/// As in CoordinatorPlan.
struct DeskRules {
  std::chrono::milliseconds deadline{0};
  std::uint32_t keep_rounds = 32;
};

class Desk final : public border::RoadHandler {
 public:
  /// Opens the newest exchange, those that a site may have missed, and finishes what a crash
  /// interrupted.
  Desk(Office office, border::ByteBudget& budget, const Clock& clock, DeskRules rules);

  // RoadHandler
  void accept_message(SiteId road_peer, ByteView wire) override;
  std::optional<border::Envelope> next_message(SiteId to, std::chrono::milliseconds wait) override;
  void acknowledged(SiteId by, const Digest& message) override;
  std::uint64_t upload_position(SiteId of, const ExchangeId& exchange) override;
  void accept_block(SiteId road_peer, ByteView wire) override;
  std::uint64_t flush_blocks(SiteId of, const ExchangeId& exchange) override;
  std::uint64_t largest_frame_bytes(const ExchangeId& exchange) override;
  border::Envelope aggregate_block(SiteId to, const ExchangeId& exchange,
                                   std::uint64_t position) override;

  /// Begins a round without the missing if its deadline is over; sums if it is time to, and
  /// rethrows what a connection's thread could not mend.
  void work(const std::function<bool()>& stop);
  /// Waits for something to do. Returns early when a phase changed.
  void wait(std::chrono::milliseconds limit);
  bool finished();
  DeskStatus status();
  /// Lines for the log since the last call.
  std::vector<std::string> take_notes();

 private:
  template <typename Act>
  auto guarded(SiteId peer, Act&& act) -> decltype(act());
  void refused(SiteId peer, const Error& error, const Digest& subject);
  void read_reached(const std::vector<ExchangeId>& exchanges);
  federation::Chain open_older(const std::vector<ExchangeId>& exchanges);
  void open_next();
  void watch_deadline();
  void forget_older();
  void note_forgone(const RoundRun& run);
  void take_message(SiteId peer, ByteView wire, const Digest& digest);
  std::shared_ptr<Upload> find_upload(SiteId site, const ExchangeId& exchange);
  std::shared_ptr<Aggregate> find_aggregate(const ExchangeId& exchange);
  std::shared_ptr<Aggregate> serve(std::shared_ptr<Aggregate> aggregate);
  void stored_if_complete(SiteId site, const ExchangeId& exchange, const Upload& upload);
  RoundRun& require_open(const ExchangeId& exchange);
  void advance();
  /// A coordinator that is ending answers nobody: its sites try again. @pre locked.
  void require_going() const;

  Office office_;
  border::ByteBudget& budget_;
  std::mutex mutex_;
  std::condition_variable changed_;
  const Clock& clock_;
  DeskRules rules_;
  std::unique_ptr<RoundRun> run_;
  StateRelay relay_;
  std::map<ExchangeId, std::unique_ptr<RoundRun>> missed_;  ///< closed, wanted by who missed them
  std::deque<std::shared_ptr<Aggregate>> serving_;    ///< of `missed_`, whose files may be open
  std::optional<std::chrono::nanoseconds> deadline_;  ///< of the open exchange, while it counts
  std::int64_t begins_unix_ = 0;                      ///< when it is over, by the wall clock
  std::exception_ptr fatal_;
  std::string last_closed_;
  std::uint64_t num_refused_ = 0;
  std::map<SiteId, unsigned> refusals_recorded_;
  std::map<SiteId, ExchangeId> passing_noted_;  ///< the last in which one was said
  std::vector<std::string> notes_;
};

}  // namespace concordat::coordinator
