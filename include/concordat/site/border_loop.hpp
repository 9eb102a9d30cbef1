// The border of a site: the one process that talks outward. It never trains.
//
//   return run_border(settings);                    // `concordat border SITE.toml`
//
// or, with every seam in the caller's hands (tests):
//
//   BorderLoop loop({fs, system_clock(), system_random(), *road}, plan, keys);
//   while (loop.turn()) {}                          // one turn: look, act, wait a little
//   ExitCode code = loop.exit_code();
//
// It takes each round from the ranks' first key file to the closing record: ready, cosign, secrets
// for the ranks, header and frames from COMMIT, aggregate into the inbox, received, CLOSED; after
// the last round the ready that proves the final state. It writes the site's ledger.
//
// Kill it anywhere: events, sealed messages and secrets are durable before they act or leave, and
// a restart sends the same bytes again. The coordinator may be away for as long as it likes: the
// border says so and tries again. USR1, TERM and a STOP file in the site folder (not that of the
// run, which is the training job's) end it with 75 at a safe point.
// Memory: a few blocks. Threads: one loop, one thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "concordat/border/road.hpp"
#include "concordat/core/clock.hpp"
#include "concordat/core/error.hpp"
#include "concordat/core/file.hpp"
#include "concordat/core/stop.hpp"
#include "concordat/crypto/key_files.hpp"
#include "concordat/federation/agreement.hpp"
#include "concordat/site/settings.hpp"

namespace concordat::site {

/// What the loop touches of the world; all outlive it.
struct BorderSeams {
  FileSystem& fs;
  Clock& clock;
  crypto::SecureRandom& random;
  border::SiteRoad& road;
};

struct BorderPlan {
  FileSystem::Path site_folder;
  FileSystem::Path run_folder;
  federation::SignedRoster roster;
  federation::SignedAgreement agreement;
  /// Whose state this site takes when its own is lost; unset: nobody's.
  std::optional<SiteId> donor{};
  /// Whom it gives its own to when asked to.
  std::vector<SiteId> donate_to{};
  /// Scales of each block of the model; needed to give.
  std::vector<std::uint32_t> scales_per_block{};
  std::uint64_t hash_per_turn_bytes = 16U << 20U;  ///< of a state that it gives
  StopLimits limits{};                             ///< of the batch job that it runs in, if any
  std::chrono::milliseconds fetch_wait{500};       ///< longest wait for a message in one turn
  std::chrono::milliseconds poll_wait{100};        ///< between looks at the run folder
  std::chrono::milliseconds retry_limit{10'000};   ///< longest back-off when the road is down
};

class BorderLoop {
 public:
  /// Takes `border.lock`, opens ledger and journal, replays what stands in them.
  /// @throws Error(in_use) when another border runs; the errors of what it opens.
  BorderLoop(BorderSeams seams, BorderPlan plan, const crypto::SiteKeys& keys);
  ~BorderLoop();
  /// Does what can be done and waits a little if that is nothing. False when the loop is over.
  /// @throws Error for what this process cannot mend: refusals of the protocol, a full disk.
  bool turn();
  /// done after the final state is acknowledged, saved when asked to stop. @pre turn() was false.
  ExitCode exit_code() const;
  /// Where it stands: the round, and a federation::SitePhase by name.
  struct Position {
    Round round{};
    std::string phase{};
    bool operator==(const Position&) const = default;
  };
  Position position() const;
  /// The same for lines: "round 3, going".
  std::string status() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Makes a border's road. `name`: where the coordinator is, for people.
struct BorderRoad {
  std::string name;
  std::function<std::unique_ptr<border::SiteRoad>()> make;
};
/// As below, over another road. @pre settings.federation.
ExitCode run_border(const SiteSettings& settings, const BorderRoad& road);

/// Loads keys, roster and agreement, and runs the loop to its end over tls, dialling the
/// coordinator, or over the spool, as settings.federation->road says.
/// @pre settings.federation. @throws as above; `cli` maps errors to exit codes.
ExitCode run_border(const SiteSettings& settings);

}  // namespace concordat::site
