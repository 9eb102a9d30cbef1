// SIGKILL at every point that the coordinator passes, over the real road: one run in which each
// incarnation dies at another point. The end is that of an undisturbed run.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <thread>

#include "concordat/border/tls_road.hpp"
#include "concordat/core/kill_point.hpp"
#include "concordat/core/log.hpp"
#include "concordat/ledger/verify.hpp"
#include "coordinator/exchange_log.hpp"
#include "support/temporary_folder.hpp"
#include "unit/coordinator/fake_site.hpp"

namespace concordat::coordinator::testing {
namespace {

using std::chrono::milliseconds;

const std::vector<std::string> kill_points = {
    "coordinator.after_begin",     "coordinator.after_event",       "coordinator.after_entry",
    "coordinator.after_receipt",   "coordinator.after_decisions",   "coordinator.after_sealed:2",
    "coordinator.after_crossings", "coordinator.after_header_file", "coordinator.before_flush",
    "coordinator.after_flush",     "coordinator.after_own_event",   "coordinator.mid_sum",
    "coordinator.after_sum",       "coordinator.after_frame_key",   "coordinator.after_sealed:5",
    "coordinator.after_close",     "coordinator.after_erase",       "coordinator.after_begin"};

/// A free port of this machine; nobody else takes it in the meantime, or the test says so.
std::uint16_t free_port(const Federation& federation, const std::filesystem::path& folder) {
  border::TlsCoordinatorOptions options;
  options.spill_folder = folder;
  return border::make_tls_coordinator_road(options, federation.keys(coordinator_id).tls, "hub",
                                           federation.peers)
      ->bound_port();
}

int coordinate(const Federation& federation, const std::filesystem::path& folder,
               std::uint16_t port) {
  try {
    log::set_level(log::Level::error);
    crypto::SiteKeys keys = federation.keys(coordinator_id);
    auto budget = std::make_shared<border::ByteBudget>(8U << 20U);
    border::TlsCoordinatorOptions options;
    options.port = port;
    options.budget = budget;
    options.spill_folder = folder / "spill";
    auto road = border::make_tls_coordinator_road(options, keys.tls, "hub", federation.peers);
    CoordinatorPlan plan;
    plan.folder = folder;
    plan.roster = federation.roster;
    plan.agreement = federation.agreement;
    plan.poll_wait = milliseconds(10);
    plan.linger = milliseconds(1000);
    // The fourth is not ready for any round; three of three are always needed.
    if (federation.roster.roster.num_sites() > 3) plan.deadline = milliseconds(100);
    CoordinatorLoop loop({posix_files(), system_clock(), crypto::system_random(), *road, *budget},
                         plan, keys);
    while (loop.turn()) {
    }
    return static_cast<int>(loop.exit_code());
  } catch (const std::exception& error) {
    log::error(error.what());
    return 70;
  }
}

/// Three sites to their end; writes their closing digests.
int take_part(const Federation& federation, const std::filesystem::path& folder,
              std::uint16_t port) {
  try {
    std::vector<std::thread> threads;
    const std::uint32_t num_sites = federation.roster.roster.num_sites();
    std::vector<std::vector<Digest>> closings(num_sites);
    std::atomic<bool> failed{false};
    for (std::uint32_t i = 0; i < num_sites; ++i) {
      threads.emplace_back([&, i] {
        try {
          border::TlsSiteOptions options{.host = "127.0.0.1", .port = port};
          auto road = border::make_tls_site_road(options, federation.keys(SiteId(i)).tls, "site",
                                                 federation.peers);
          // The fourth is not ready for any round, and proves the final state.
          FakeSite site(federation, SiteId(i), folder / ("site-" + std::to_string(i)), *road,
                        posix_files(), i == 3 ? federation.agreement.agreement.rounds : 0);
          while (!site.done()) {
            if (!site.step(milliseconds(100))) std::this_thread::sleep_for(milliseconds(5));
          }
          closings[i] = site.closings();
        } catch (const std::exception& error) {
          log::error(error.what());
          failed = true;
        }
      });
    }
    for (auto& thread : threads) thread.join();
    for (const auto& one : closings) failed = failed || one != closings[0];
    if (failed) return 1;
    std::string text;
    for (const Digest& digest : closings[0]) text += digest.hex() + "\n";
    write_atomically(posix_files(), folder / "closings", as_bytes(text));
    return 0;
  } catch (const std::exception& error) {
    log::error(error.what());
    return 2;
  }
}

template <typename Act>
pid_t in_child(Act&& act) {
  pid_t child = ::fork();
  if (child == 0) ::_exit(act());
  return child;
}

int wait_for(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/// Messages to the fourth site that stand sealed in the journal of round 0: the five of its record.
std::size_t sealed_for_the_fourth(const std::filesystem::path& root) {
  const CoordinatorFolder folder(posix_files(), root);
  if (!posix_files().exists(folder.journal({}))) return 0;
  std::size_t count = 0;
  ExchangeLog::open(folder, {}, [&](const LogRecord& record, std::uint64_t) {
    const auto* sealed = std::get_if<SealedRecord>(&record);
    count += sealed != nullptr && sealed->to == SiteId(3) ? 1U : 0U;
  });
  return count;
}

/// Runs to the end; each of `points` ends one incarnation of the coordinator, after which `died`
/// looks at its folder.
std::string run_with(const std::vector<std::string>& points, unsigned* deaths,
                     std::uint32_t num_sites, std::size_t num_crossings,
                     const std::function<void(const std::filesystem::path&)>& died = {}) {
  testing_support::TemporaryFolder temporary;
  Federation federation({}, num_sites);
  std::filesystem::path folder = temporary.path() / "hub";
  posix_files().make_directories(folder);
  std::uint16_t port = free_port(federation, folder / "spill");
  pid_t sites = in_child([&] { return take_part(federation, temporary.path(), port); });
  int code = -SIGKILL;
  for (std::size_t i = 0; code == -SIGKILL; ++i) {
    pid_t hub = in_child([&] {
      if (i < points.size()) ::setenv("CONCORDAT_KILL_AT", points[i].c_str(), 1);
      return coordinate(federation, folder, port);
    });
    code = wait_for(hub);
    if (code != -SIGKILL) continue;
    ++*deaths;
    if (died) died(folder);
  }
  EXPECT_EQ(code, 0);
  EXPECT_EQ(wait_for(sites), 0);
  crypto::VerifyKey key = federation.keys(coordinator_id).log.verify_key();
  auto log =
      ledger::read_log(posix_files(), folder / "ledger", ledger::log_origin("hub", key), key);
  for (const auto& fault : log.faults) ADD_FAILURE() << fault.text();
  std::size_t crossings = 0;
  for (const auto& logged : log.entries) crossings += ledger::is_crossing(logged.entry.kind);
  EXPECT_EQ(crossings, num_crossings) << "each once";
  return read_text(posix_files(), temporary.path() / "closings");
}

TEST(Kill, AtEveryPointChangesNothing) {
  if (!kill_points_compiled()) GTEST_SKIP() << "skipped: this build has no kill points";
  unsigned deaths = 0;
  // 2 rounds of 10 messages, the last ready.
  std::string undisturbed = run_with({}, &deaths, 3, 63);
  EXPECT_EQ(deaths, 0U);
  EXPECT_EQ(run_with(kill_points, &deaths, 3, 63), undisturbed);
  EXPECT_EQ(deaths, kill_points.size()) << "a point was not passed";
}

TEST(Kill, AtEveryPointWithASiteThatMissesTheRoundsChangesNothing) {
  if (!kill_points_compiled()) GTEST_SKIP() << "skipped: this build has no kill points";
  unsigned deaths = 0;
  // And for the fourth the 5 messages of the record in each round.
  std::string undisturbed = run_with({}, &deaths, 4, 74);
  // Two more behind the closing record: in the middle of what the fourth needs, and at its
  // aggregate.
  std::vector<std::string> points = kill_points;
  const auto closing = std::find(points.begin(), points.end(), "coordinator.after_sealed:5");
  ASSERT_NE(closing, points.end());
  const std::string in_the_record[] = {"coordinator.after_sealed:3", "coordinator.after_sealed:2"};
  points.insert(closing + 1, std::begin(in_the_record), std::end(in_the_record));
  std::set<std::size_t> sealed;
  const auto look = [&](const std::filesystem::path& hub) {
    sealed.insert(sealed_for_the_fourth(hub));
  };
  EXPECT_EQ(run_with(points, &deaths, 4, 74, look), undisturbed);
  EXPECT_EQ(deaths, points.size()) << "a point was not passed";
  EXPECT_TRUE(sealed.contains(2)) << "no death between its go and its survivors";
  EXPECT_TRUE(sealed.contains(4)) << "no death between its aggregate and its closing record";
}

}  // namespace
}  // namespace concordat::coordinator::testing
