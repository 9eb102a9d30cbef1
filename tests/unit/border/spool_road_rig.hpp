// The spool road between parties of one process, with a mover that a test can make lose a file.
//
//   SpoolMover mover(hub / "alba", site / "alba");      // carries all the time
//   mover.lose_next(Lost::request);
//
// Time for what is overdue stands still until a file was lost, so that a slow machine never looks
// like a mover that lost one.
#pragma once

#include <atomic>
#include <thread>
#include <type_traits>

#include "concordat/border/errors.hpp"
#include "concordat/border/spool_road.hpp"
#include "unit/border/road_rig.hpp"

namespace concordat::border::testing {

/// The system's clock, and as much later as a test says.
class JumpingClock final : public Clock {
 public:
  std::chrono::nanoseconds monotonic() const override {
    return system_clock().monotonic() + later_.load();
  }
  std::int64_t unix_seconds() const override { return system_clock().unix_seconds(); }
  void sleep(std::chrono::nanoseconds duration) override { system_clock().sleep(duration); }
  void jump(std::chrono::nanoseconds time) { later_ = later_.load() + time; }

 private:
  std::atomic<std::chrono::nanoseconds> later_{std::chrono::nanoseconds(0)};
};

/// Carries what lies in two spools to the other one, as rsync would: a copy under another name,
/// then renamed, then the source removed.
class SpoolMover {
 public:
  SpoolMover(FileSystem::Path hub, FileSystem::Path site);
  ~SpoolMover();
  void lose_next(Lost what) { to_lose_ = what == Lost::request ? 1 : 2; }
  /// Once: whether a file was lost.
  bool lost() { return lost_.exchange(false); }
  /// Whether nothing is on its way, or lies where the coordinator has not looked.
  bool idle() const;
  void carry();

 private:
  void carry(const FileSystem::Path& from, const FileSystem::Path& to, int losable);
  FileSystem::Path hub_, site_;
  std::mutex mutex_;
  std::atomic<int> to_lose_{0};
  std::atomic<bool> lost_{false}, stopping_{false};
  std::thread thread_;
};

/// Asks again until there is an answer. `waits` is called each time that there is none yet.
template <typename Act, typename Waits>
std::invoke_result_t<Act&> until_answered(Act&& act, Waits&& waits) {
  for (;;) {
    try {
      return act();
    } catch (const Error& error) {
      if (error.code() != errors::road_waits) throw;
      waits();
    }
  }
}

std::unique_ptr<RoadRig> make_spool_rig(World& world);

}  // namespace concordat::border::testing
