// What the files of a run say about it: gathered without a lock, a daemon or a secret, so any part
// may be old or missing.
//
//   const RunView view = look_at_run(posix_files(), "alba/runs/demo", now);
//   view.where();                 // "round 3: training, step 7 of 30"
//
// Threads: one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "concordat/checkpoint/inspect.hpp"
#include "concordat/core/file.hpp"
#include "concordat/site/border_page.hpp"

namespace concordat::cli {

/// Who holds a role's lock, as the lock file says.
struct Holder {
  bool held = false;   ///< as seen from this host: not every file system shows locks of another
  std::string line{};  ///< "host n042, pid 711, job 1234": of the holder, or of the last one
};
Holder look_at_lock(FileSystem& fs, const std::filesystem::path& lock);

/// What the run is to be, from effective.toml.
struct RunPlan {
  std::int64_t rounds = 0;
  std::int64_t inner_steps = 0;
  bool federated = false;
  bool spools = false;  ///< federation.road
  std::int64_t total_steps() const { return rounds * inner_steps; }
};

/// The newest steps of metrics.jsonl.
struct RunPace {
  std::int64_t steps_done = 0;
  std::int64_t round = 0;
  double loss = 0.0;
  std::int64_t unix_seconds = 0;  ///< when the last one ended
  double tokens_per_s = 0.0;      ///< over the newest steps, waits left out
  double step_seconds = 0.0;      ///< the same
  /// From step to step on the wall clock, waits included; 0: too few steps to tell.
  double wall_seconds = 0.0;
};

struct RunExchange {
  std::int64_t round = 0;
  bool committed = false;
  bool closed = false;
};

/// Jobs in a row that began at one place and got no further (progress.json).
struct IdleStarts {
  std::int64_t jobs = 0;
  std::int64_t step = 0;
};

struct RunView {
  std::string name{};
  std::optional<RunPlan> plan{};
  std::optional<RunPace> pace{};
  std::optional<checkpoint::Listed> newest{};  ///< generation whose manifest can be read
  Holder ranks{};
  std::optional<RunExchange> exchange{};  ///< the newest that the ranks announced
  std::optional<site::BorderPage> border{};
  std::optional<IdleStarts> idle_starts{};
  bool stop = false, save = false, requeue = false;  ///< files of these names
  std::string needs_state{}, donate{};               ///< names of sites in these files

  bool finished() const;
  /// Where the site is in the round, in one clause.
  std::string where() const;
};

/// Where the run's site has its spool, as far as its files tell; empty without one.
std::filesystem::path spool_of(FileSystem& fs, const RunView& view,
                               const std::filesystem::path& site);

RunView look_at_run(FileSystem& fs, const std::filesystem::path& folder);

}  // namespace concordat::cli
