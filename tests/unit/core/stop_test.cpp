// Requests to stop. Handlers and signals belong to a process: each test has one of its own.
#include "concordat/core/stop.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <functional>

#include "concordat/core/error.hpp"
#include "core/stop_signals.hpp"
#include "support/temporary_folder.hpp"

namespace concordat {
namespace {

using namespace std::chrono_literals;

class FakeClock : public Clock {
 public:
  std::chrono::nanoseconds monotonic() const override { return now_; }
  std::int64_t unix_seconds() const override {
    return 1'800'000'000 + set_ + std::chrono::duration_cast<std::chrono::seconds>(now_).count();
  }
  void sleep(std::chrono::nanoseconds duration) override { now_ += duration; }
  /// As an administrator or NTP would: by this much, at once.
  void set(std::chrono::seconds by) { set_ += by.count(); }

 private:
  std::int64_t set_ = 0;
  std::chrono::nanoseconds now_{0};
};

/// The exit code of a child: 0 if `body` held, 1 if not; 255 when a signal ended it.
int in_child(const std::function<bool()>& body) {
  pid_t child = ::fork();
  if (child == 0) ::_exit(body() ? 0 : 1);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 0xff;
}

class Stops : public ::testing::Test {
 protected:
  bool there(const char* name) { return fs_.exists(folder_.path() / name); }
  void touch(const char* name) { write_atomically(fs_, folder_.path() / name, as_bytes("")); }
  /// Far enough for the files to be looked at again.
  StopKind later(StopRequests& stops) {
    clock_.sleep(1s);
    return stops.poll();
  }

  testing_support::TemporaryFolder folder_;
  FileSystem& fs_ = posix_files();
  FakeClock clock_;
};

TEST_F(Stops, ASaveFileIsUsedUpAndTheJobGoesOn) {
  EXPECT_EQ(in_child([&] {
              StopRequests stops(fs_, folder_.path(), clock_);
              if (stops.poll() != StopKind::none) return false;
              touch("SAVE");
              // Not yet looked at again: 5 times a second at most.
              if (stops.poll() != StopKind::none || !there("SAVE")) return false;
              if (later(stops) != StopKind::save || there("SAVE")) return false;
              return later(stops) == StopKind::none && !there("REQUEUE");
            }),
            0);
}

TEST_F(Stops, AStopFileStopsForGoodAndLeavesNoRequeue) {
  EXPECT_EQ(in_child([&] {
              StopRequests stops(fs_, folder_.path(), clock_);
              touch("SAVE");
              touch("STOP");
              if (later(stops) != StopKind::stop || there("STOP") || there("REQUEUE")) return false;
              return later(stops) == StopKind::stop;
            }),
            0);
}

TEST_F(Stops, TheEndTimeRequeuesTwoMinutesBefore) {
  EXPECT_EQ(in_child([&] {
              ::setenv("SLURM_JOB_END_TIME", std::to_string(1'800'000'000 + 300).c_str(), 1);
              StopRequests stops(fs_, folder_.path(), clock_);
              clock_.sleep(178s);
              if (later(stops) != StopKind::none || there("REQUEUE")) return false;      // 179 s
              if (later(stops) != StopKind::requeue || !there("REQUEUE")) return false;  // 180 s
              return stops.poll() == StopKind::requeue;
            }),
            0);
}

TEST_F(Stops, AClockThatIsSetBackMakesNoJobStayTooLong) {
  EXPECT_EQ(in_child([&] {
              ::setenv("SLURM_JOB_END_TIME", std::to_string(1'800'000'000 + 300).c_str(), 1);
              StopRequests stops(fs_, folder_.path(), clock_);
              clock_.set(-3600s);
              clock_.sleep(178s);
              if (later(stops) != StopKind::none || there("REQUEUE")) return false;
              return later(stops) == StopKind::requeue && there("REQUEUE");
            }),
            0);
}

TEST_F(Stops, AClockThatIsSetForwardEndsAJobByItsNewTime) {
  EXPECT_EQ(in_child([&] {
              ::setenv("SLURM_JOB_END_TIME", std::to_string(1'800'000'000 + 7200).c_str(), 1);
              StopRequests stops(fs_, folder_.path(), clock_);
              clock_.set(3600s);
              if (later(stops) != StopKind::none || there("REQUEUE")) return false;
              clock_.set(3600s);
              return later(stops) == StopKind::requeue && there("REQUEUE");
            }),
            0);
}

TEST_F(Stops, TheLongestRunIsCountedOnTheMonotonicClock) {
  EXPECT_EQ(in_child([&] {
              ::unsetenv("SLURM_JOB_END_TIME");
              StopRequests stops(fs_, folder_.path(), clock_, {.margin = 20s, .walltime = 100s});
              clock_.set(3600s);
              if (later(stops) != StopKind::none) return false;
              clock_.set(-7200s);
              clock_.sleep(77s);
              if (later(stops) != StopKind::none) return false;
              return later(stops) == StopKind::requeue;
            }),
            0);
}

TEST_F(Stops, AnEndTimeBeyondAllClocksIsFarAway) {
  EXPECT_EQ(in_child([&] {
              ::setenv("SLURM_JOB_END_TIME", "9223372036854775807", 1);
              StopRequests stops(fs_, folder_.path(), clock_);
              return later(stops) == StopKind::none;
            }),
            0);
}

TEST_F(Stops, TheMarginBeforeTheEndTimeIsTheCallersChoice) {
  EXPECT_EQ(in_child([&] {
              ::setenv("SLURM_JOB_END_TIME", std::to_string(1'800'000'000 + 300).c_str(), 1);
              StopRequests stops(fs_, folder_.path(), clock_, {.margin = 10s});
              clock_.sleep(288s);
              if (later(stops) != StopKind::none) return false;  // 289 s
              return later(stops) == StopKind::requeue && there("REQUEUE");
            }),
            0);
}

TEST_F(Stops, TheLongestRunRequeuesItsMarginBefore) {
  EXPECT_EQ(in_child([&] {
              ::unsetenv("SLURM_JOB_END_TIME");
              clock_.sleep(5000s);  // counted from here
              StopRequests stops(fs_, folder_.path(), clock_, {.margin = 20s, .walltime = 100s});
              clock_.sleep(78s);
              if (later(stops) != StopKind::none || there("REQUEUE")) return false;
              return later(stops) == StopKind::requeue && there("REQUEUE");
            }),
            0);
}

TEST_F(Stops, ARequestThatComesWhileTheProcessStartsIsKept) {
  EXPECT_EQ(in_child([&] {
              StopRequests::catch_signals();
              std::raise(SIGUSR1);
              StopRequests stops(fs_, folder_.path(), clock_);
              return stops.poll() == StopKind::requeue && there("REQUEUE");
            }),
            0);
}

TEST_F(Stops, AnEndTimeThatIsNoTimeIsNone) {
  for (const char* text : {"soon", "", "0", "-9223372036854775808", "9223372036854775808"}) {
    EXPECT_EQ(in_child([&] {
                ::setenv("SLURM_JOB_END_TIME", text, 1);
                StopRequests stops(fs_, folder_.path(), clock_);
                clock_.sleep(1'000'000'000s);
                return stops.poll() == StopKind::none;
              }),
              0)
        << text;
  }
}

TEST_F(Stops, Usr1RequeuesAndALaterTermStaysStopped) {
  EXPECT_EQ(in_child([&] {
              StopRequests stops(fs_, folder_.path(), clock_);
              std::raise(SIGUSR1);
              if (stops.poll() != StopKind::requeue || !there("REQUEUE")) return false;
              std::raise(SIGTERM);
              return stops.poll() == StopKind::stop && !there("REQUEUE");
            }),
            0);
}

TEST_F(Stops, IntAndTermStop) {
  for (int signal : {SIGINT, SIGTERM}) {
    EXPECT_EQ(in_child([&] {
                StopRequests stops(fs_, folder_.path(), clock_);
                std::raise(signal);
                return stops.poll() == StopKind::stop && !there("REQUEUE");
              }),
              0)
        << signal;
  }
}

TEST_F(Stops, ATermThatComesAlongTwoRoadsIsOne) {
  EXPECT_EQ(in_child([&] {
              StopRequests stops(fs_, folder_.path(), clock_);
              std::raise(SIGTERM);
              std::raise(SIGTERM);
              return stops.poll() == StopKind::stop;
            }),
            0);
}

/// What becomes of a process that is told twice, the second time after `since`: 0, or its exit
/// code.
int told_again(std::chrono::nanoseconds since) {
  return in_child([&] {
    stop_signals::came(7);
    stop_signals::came(7 + since.count());
    return true;
  });
}

// The times are given, not waited for.
TEST_F(Stops, ASecondTermEndsAtOnceAsSavedWithinItsWindow) {
  constexpr int saved = static_cast<int>(ExitCode::saved);
  EXPECT_EQ(told_again(0ns), 0);
  EXPECT_EQ(told_again(10s - 1ns), 0);
  EXPECT_EQ(told_again(10s), saved);
  EXPECT_EQ(told_again(30s - 1ns), saved);
  EXPECT_EQ(told_again(30s), 0) << "the end of a preempted job's grace";
}

TEST_F(Stops, ATermLongAfterTheFirstIsAFirstOneAgain) {
  EXPECT_EQ(in_child([&] {
              StopRequests stops(fs_, folder_.path(), clock_);
              stop_signals::came(1);
              stop_signals::came(std::chrono::nanoseconds(300s).count());
              stop_signals::came(std::chrono::nanoseconds(309s).count());
              return stops.poll() == StopKind::stop;
            }),
            0);
  EXPECT_EQ(in_child([&] {
              stop_signals::came(1);
              stop_signals::came(std::chrono::nanoseconds(300s).count());
              stop_signals::came(std::chrono::nanoseconds(311s).count());
              return true;  // never reached
            }),
            static_cast<int>(ExitCode::saved));
}

TEST_F(Stops, AStopFileCountsAfterARequeueWasTaken) {
  EXPECT_EQ(in_child([&] {
              StopRequests stops(fs_, folder_.path(), clock_);
              std::raise(SIGUSR1);
              if (stops.poll() != StopKind::requeue || !there("REQUEUE")) return false;
              touch("SAVE");
              if (later(stops) != StopKind::requeue || !there("REQUEUE")) return false;
              touch("STOP");
              return later(stops) == StopKind::stop && !there("REQUEUE") && !there("STOP");
            }),
            0);
}

TEST_F(Stops, AnOldRequeueIsTakenAwayAtTheStart) {
  EXPECT_EQ(in_child([&] {
              touch("REQUEUE");
              StopRequests stops(fs_, folder_.path(), clock_);
              return !there("REQUEUE");
            }),
            0);
}

}  // namespace
}  // namespace concordat
