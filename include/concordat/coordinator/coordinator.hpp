// The coordinator: adds masked blocks and runs rounds. It holds no model and sees no single site's
// update; what it adds up it streams, one block at a time.
//
//   return run_coordinator(settings);                  // `concordat coordinate COORD.toml`
//
// or, with every seam in the caller's hands (tests):
//
//   CoordinatorLoop loop({fs, clock, random, road, budget}, plan, keys);
//   while (loop.turn()) {}                             // one turn: look, act, wait a little
//   ExitCode code = loop.exit_code();
//
// Kill it anywhere: what it acknowledged and what it sent is durable first, and the same command
// goes on from there with the same bytes. It waits for a missing site for as long as it takes, or
// with a deadline as long as that, and says for whom, in the log and in `status.json`. A round that
// began without a site goes on without it; the site catches up from the aggregates that are kept
// for it. It ends with 0 when every site has proved the same state after the last round, with 75 on
// USR1, TERM, INT or a STOP file in its folder, and with the code of the error otherwise.
//
// Folder: keys/ ledger/ journal/ exchanges/ spill/ status.json coordinator.lock
// (docs/formats/coordinator-folder.md). Memory: a few blocks, whatever the model and however many
// sites. Threads: one loop, those of the roads: one per connection and per site with a spool.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "concordat/border/budget.hpp"
#include "concordat/border/road.hpp"
#include "concordat/core/clock.hpp"
#include "concordat/core/error.hpp"
#include "concordat/core/file.hpp"
#include "concordat/crypto/key_files.hpp"
#include "concordat/federation/agreement.hpp"

namespace concordat::coordinator {

/// What the loop touches of the world; all outlive it.
struct CoordinatorSeams {
  FileSystem& fs;
  Clock& clock;
  crypto::SecureRandom& random;
  border::CoordinatorRoad& road;
  border::ByteBudget& budget;  ///< shared with the road
};

struct CoordinatorPlan {
  FileSystem::Path folder;
  federation::SignedRoster roster;
  federation::SignedAgreement agreement;
  /// From the moment at which enough sites for a manifest are ready, by the monotonic clock of this
  /// process: a round begins without those who are not ready then. 0: it waits for all.
  std::chrono::milliseconds deadline{0};
  /// Most rounds whose aggregates are kept for sites that missed them.
  std::uint32_t keep_rounds = 32;
  FileSystem::Path spool{};                     ///< of the spool road, for the status page
  std::chrono::milliseconds poll_wait{100};     ///< longest wait in one turn
  std::chrono::milliseconds say_every{30'000};  ///< between two lines about who is waited for
  /// Longest that a finished coordinator waits for sites to fetch their last acknowledgement.
  std::chrono::milliseconds linger{15'000};
};

class CoordinatorLoop {
 public:
  /// Takes `coordinator.lock`, opens ledger and journal, replays what stands in them, starts the
  /// road. @throws Error(in_use | coordinator.not_coordinator | border.over_budget) and the errors
  /// of what it opens.
  CoordinatorLoop(CoordinatorSeams seams, CoordinatorPlan plan, const crypto::SiteKeys& keys);
  ~CoordinatorLoop();
  /// False when it is over. @throws Error for what this process cannot mend.
  bool turn();
  /// done or saved. @pre turn() was false.
  ExitCode exit_code() const;
  /// "round 3: uploading, waiting for brio (site 1)".
  std::string status() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct CoordinatorSettings {
  std::string name;
  FileSystem::Path folder;
  std::string listen;                       ///< HOST:PORT; empty: no tls road
  FileSystem::Path spool{};                 ///< of the spool road; empty: none
  std::chrono::seconds spool_answer{3600};  ///< as SpoolCoordinatorOptions::answer_limit
  std::uint64_t buffer_bytes = 32U << 20U;  ///< one budget for all bytes in flight
  std::chrono::seconds deadline{0};         ///< as in CoordinatorPlan
  std::uint32_t keep_rounds = 32;
  FileSystem::Path roster;
  FileSystem::Path agreement;
};

/// Makes the coordinator's road over its budget and the roster's directory.
using CoordinatorRoadMaker = std::function<std::unique_ptr<border::CoordinatorRoad>(
    const std::shared_ptr<border::ByteBudget>&, const border::PeerDirectory&)>;
/// As below, over another road; settings.listen is not used.
ExitCode run_coordinator(const CoordinatorSettings& settings, const CoordinatorRoadMaker& make);

/// Loads keys, roster and agreement, serves the tls and spool roads that the settings name and runs
/// the loop to its end.
/// @throws as above; `cli` maps errors to exit codes.
ExitCode run_coordinator(const CoordinatorSettings& settings);

}  // namespace concordat::coordinator
