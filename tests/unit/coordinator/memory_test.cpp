// Peak memory of a coordinator with 3 sites: a process of its own, the real road, VmHWM as the
// kernel counts it.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <thread>

#include "concordat/border/tls_road.hpp"
#include "concordat/core/log.hpp"
#include "support/temporary_folder.hpp"
#include "unit/coordinator/fake_site.hpp"

namespace concordat::coordinator::testing {
namespace {

using std::chrono::milliseconds;

std::uint64_t peak_kib() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word == "VmHWM:") {
      std::uint64_t kib = 0;
      status >> kib;
      return kib;
    }
  }
  return 0;
}

void coordinate(const Federation& federation, const std::filesystem::path& folder) {
  log::set_level(log::Level::error);
  crypto::SiteKeys keys = federation.keys(coordinator_id);
  auto budget = std::make_shared<border::ByteBudget>(32U << 20U);
  border::TlsCoordinatorOptions options;
  options.budget = budget;
  options.spill_folder = folder / "spill";
  auto road = border::make_tls_coordinator_road(options, keys.tls, "hub", federation.peers);
  write_atomically(posix_files(), folder / "port", as_bytes(std::to_string(road->bound_port())));
  CoordinatorPlan plan;
  plan.folder = folder;
  plan.roster = federation.roster;
  plan.agreement = federation.agreement;
  plan.linger = milliseconds(2000);
  CoordinatorLoop loop({posix_files(), system_clock(), crypto::system_random(), *road, *budget},
                       plan, keys);
  while (loop.turn()) {
  }
  write_atomically(
      posix_files(), folder / "peak",
      as_bytes(std::to_string(peak_kib()) + " " + std::to_string(budget->peak_bytes())));
}

void measure(std::uint64_t num_elements, std::uint32_t block_log2) {
  testing_support::TemporaryFolder temporary;
  Federation federation([&](federation::RunAgreement& agreement) {
    agreement.num_elements = num_elements;
    agreement.block_log2 = block_log2;
    agreement.rounds = 1;
  });
  std::filesystem::path folder = temporary.path() / "hub";
  posix_files().make_directories(folder);
  pid_t hub = ::fork();
  if (hub == 0) {
    try {
      coordinate(federation, folder);
    } catch (const std::exception& error) {
      log::error(error.what());
      ::_exit(1);
    }
    ::_exit(0);
  }
  while (!posix_files().exists(folder / "port")) std::this_thread::sleep_for(milliseconds(10));
  auto port = static_cast<std::uint16_t>(std::stoi(read_text(posix_files(), folder / "port")));
  auto begin = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      border::TlsSiteOptions options{.host = "127.0.0.1", .port = port};
      auto road = border::make_tls_site_road(options, federation.keys(SiteId(i)).tls, "site",
                                             federation.peers);
      FakeSite site(federation, SiteId(i), temporary.path() / ("site-" + std::to_string(i)), *road);
      while (!site.done()) {
        if (!site.step(milliseconds(100))) std::this_thread::sleep_for(milliseconds(5));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  int status = 0;
  ::waitpid(hub, &status, 0);
  ASSERT_EQ(status, 0);
  std::istringstream peak(read_text(posix_files(), folder / "peak"));
  std::uint64_t kib = 0;
  std::uint64_t in_flight = 0;
  peak >> kib >> in_flight;
  std::cout << num_elements << " elements: coordinator peak " << kib / 1024 << " MiB, in flight "
            << (in_flight >> 20U) << " MiB, " << seconds.count() << " s\n";
  EXPECT_LT(kib, 128U * 1024U);
  EXPECT_LE(in_flight, 32U << 20U);
}

TEST(Memory, ThreeMillionElements) { measure(3'000'000, 14); }
TEST(Memory, AHundredMillionElements) { measure(100'000'000, 20); }

}  // namespace
}  // namespace concordat::coordinator::testing
