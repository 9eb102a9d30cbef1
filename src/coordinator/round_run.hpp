// One exchange at the coordinator: machine, journal and files together. It makes durable what the
// machine accepts, then does what the machine asks for.
//
//   RoundRun run(office, exchange, chain);        // replays; finishes what a crash interrupted
//   run.take(opened_message, wire);               // durable when it returns
//   if (run.sum_wanted()) { ... run.take(Summed{table, weight}); }
//   if (run.closed()) chain = run.machine().chain();
//
// Threads: the desk's lock.
#pragma once

#include <map>
#include <set>

#include "coordinator/sender.hpp"
#include "coordinator/upload.hpp"

namespace concordat::coordinator {

class RoundRun {
 public:
  /// Opens the exchange's journal, or begins it with `chain`. `only_closing`: an older exchange, of
  /// which nothing may still have to be said but the closing record, and to the sites that missed
  /// it what they need to catch up.
  RoundRun(Office& office, const ExchangeId& exchange, const federation::Chain& chain,
           bool only_closing = false);

  const federation::CoordinatorExchange& machine() const { return *machine_; }
  const federation::ExchangeTerms& terms() const { return machine_->terms(); }
  /// Sites whose ready was accepted, ascending.
  std::vector<SiteId> ready_sites() const;
  bool closed() const { return machine_->phase() == federation::CoordinatorPhase::closed; }
  bool finished() const { return machine_->phase() == federation::CoordinatorPhase::finished; }
  /// What every site proved. @pre finished.
  const Digest& final_state() const { return final_state_; }
  bool sum_wanted() const { return machine_->phase() == federation::CoordinatorPhase::summing; }

  /// Journal, ledger, receipt, then the effects. @throws the machine's refusals; nothing changed.
  void take(const border::OpenedMessage& message, ByteView wire);
  void take(const federation::Event& own);

  /// @throws Error(border.no_header) before the site's header was accepted.
  const std::shared_ptr<Upload>& upload(SiteId site) const;
  bool is_stored(SiteId site) const { return stored_.contains(site); }
  std::vector<std::shared_ptr<Upload>> uploads() const;
  /// @throws Error(coordinator.not_open) before the aggregate was announced, and after the closing
  /// unless some site missed the exchange; Error(coordinator.aggregate_gone) if it was not kept.
  const std::shared_ptr<Aggregate>& aggregate() const;
  bool has_aggregate() const { return aggregate_ != nullptr; }
  /// What was said and done when the journal was opened, for the log.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  void begin(const federation::Chain& chain);
  void replay(const LogRecord& record, std::uint64_t offset);
  void collect(federation::Effects effects);
  void perform();
  /// Runs what follows an event that is in the journal: if it fails, the process has to end, since
  /// only a replay can do it again.
  template <typename Act>
  void must(Act&& act);
  void post_replayed();
  void open_upload(SiteId site);
  void open_aggregate(border::FrameSealer sealer);
  void finish_close();

  struct Replayed {
    federation::Send send;
    Digest digest;
    std::uint64_t bytes;
    std::uint64_t offset;
  };

  Office& office_;
  ExchangeId exchange_;
  bool only_closing_;
  std::optional<federation::CoordinatorExchange> machine_;
  std::shared_ptr<ExchangeLog> log_;     ///< until it is closed
  std::vector<federation::Send> sends_;  ///< asked for and not yet sealed
  std::vector<Replayed> replayed_;       ///< sealed before the restart
  std::set<SiteId> accepting_;           ///< header accepted, upload to be opened
  std::set<SiteId> stored_;
  std::map<SiteId, std::shared_ptr<Upload>> uploads_;
  std::shared_ptr<Aggregate> aggregate_;
  bool close_wanted_ = false;
  Digest final_state_;
  std::vector<std::string> notes_;
};

/// @throws Error(coordinator.aggregate_gone).
[[noreturn]] void refuse_gone(const ExchangeId& exchange);

/// Sites whose ready an exchange's journal holds. Cost: reads the journal.
std::set<SiteId> ready_in(const CoordinatorFolder& folder, const ExchangeId& exchange);

}  // namespace concordat::coordinator
