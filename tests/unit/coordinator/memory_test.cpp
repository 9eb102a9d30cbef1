// Peak memory of the coordinator's program with 3 sites over the real road: VmHWM as the kernel
// counts it, while the process lives, and what the program itself says at its end.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <thread>

#include "concordat/border/tls_road.hpp"
#include "concordat/core/json_value.hpp"
#include "concordat/core/log.hpp"
#include "support/fixed_random.hpp"
#include "support/temporary_folder.hpp"
#include "unit/coordinator/fake_site.hpp"
#include "unit/federation/world.hpp"

namespace concordat::coordinator::testing {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t buffer_mib = 32;

/// `concordat coordinate` of a folder with keys, roster and agreement, as a user has it.
class Program {
 public:
  Program(const Federation& federation, std::filesystem::path folder) : folder_(std::move(folder)) {
    write_keys(federation);
    write_document("roster.json", federation::DocumentKind::roster, federation.roster.document,
                   federation);
    write_document("agreement.json", federation::DocumentKind::agreement,
                   federation.agreement.document, federation);
    write("coordinator.toml",
          "[coordinator]\nname = \"hub\"\nfolder = \".\"\nlisten = \"127.0.0.1:0\"\nbuffer_mib = " +
              std::to_string(buffer_mib) +
              "\n[federation]\nroster = \"roster.json\"\nagreement = \"agreement.json\"\n");
    const char* program = std::getenv("CONCORDAT_PROGRAM");
    if (program == nullptr) throw std::runtime_error("CONCORDAT_PROGRAM names no program");
    const std::string log = (folder_ / "log").string();
    const std::string toml = (folder_ / "coordinator.toml").string();
    pid_ = ::fork();
    if (pid_ != 0) return;
    if (std::freopen(log.c_str(), "w", stdout) == nullptr || ::dup2(1, 2) != 2) ::_exit(71);
    ::execl(program, program, "coordinate", toml.c_str(), nullptr);
    ::_exit(72);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  /// From the line in which it says where it listens.
  std::uint16_t port() {
    constexpr std::string_view says = "listens on 127.0.0.1:";
    for (int i = 0; i < 1000; ++i) {
      const std::string text = log();
      if (const std::size_t at = text.find(says); at != text.npos) {
        std::uint16_t port = 0;
        std::from_chars(text.data() + at + says.size(), text.data() + text.size(), port);
        return port;
      }
      std::this_thread::sleep_for(milliseconds(10));
    }
    throw std::runtime_error("the coordinator does not listen: " + log());
  }
  std::string log() const {
    const auto path = folder_ / "log";
    return posix_files().exists(path) ? read_text(posix_files(), path) : std::string();
  }

  /// Looks at VmHWM until the process has ended; its exit code.
  int wait_looking() {
    int status = 0;
    while (::waitpid(pid_, &status, WNOHANG) == 0) {
      std::ifstream file("/proc/" + std::to_string(pid_) + "/status");
      for (std::string line; std::getline(file, line);) {
        if (line.starts_with("VmHWM:")) seen_bytes_ = std::stoull(line.substr(6)) * 1024U;
      }
      std::this_thread::sleep_for(milliseconds(5));
    }
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::uint64_t seen_bytes() const { return seen_bytes_; }
  /// A number of its last status page.
  std::uint64_t stated(std::string_view member) const {
    const auto path = folder_ / "status.json";
    const JsonValue page = JsonValue::parse(read_text(posix_files(), path), path.string());
    return std::stoull(page.at(member, "status.json").text("status.json"));
  }

 private:
  void write(const std::string& name, const std::string& text) {
    write_atomically(posix_files(), folder_ / name, as_bytes(text));
  }
  void write_document(const std::string& name, federation::DocumentKind kind, const Bytes& document,
                      const Federation& federation) {
    write_atomically(posix_files(), folder_ / name, document);
    federation::Signatures signatures;
    for (std::uint32_t i = 0; i <= 3; ++i) {
      const auto keys = federation.keys(i < 3 ? SiteId(i) : coordinator_id);
      signatures.push_back(federation::sign_document(kind, document, keys.name, keys.signing));
    }
    write_atomically(posix_files(), federation::signatures_path(folder_ / name),
                     encode(signatures));
  }
  // The test's keys are made of one byte each; the program reads them from files.
  void write_keys(const Federation& federation) {
    Bytes drawn;
    for (int i = 0; i < 6; ++i) {
      drawn.insert(drawn.end(), 32, static_cast<std::uint8_t>(federation::test::hub_number + i));
    }
    testing_support::GivenRandom random(std::move(drawn));
    const auto made = crypto::create_site_keys(posix_files(), folder_ / "keys", "hub", random);
    ASSERT_EQ(made, federation.keys(coordinator_id).public_keys());
  }

  std::filesystem::path folder_;
  pid_t pid_ = 0;
  std::uint64_t seen_bytes_ = 0;
};

void measure(std::uint64_t num_elements, std::uint32_t block_log2) {
  log::set_level(log::Level::error);
  testing_support::TemporaryFolder temporary;
  Federation federation([&](federation::RunAgreement& agreement) {
    agreement.num_elements = num_elements;
    agreement.block_log2 = block_log2;
    agreement.rounds = 1;
  });
  posix_files().make_directories(temporary.path() / "hub");
  Program hub(federation, temporary.path() / "hub");
  const std::uint16_t port = hub.port();
  const auto begin = std::chrono::steady_clock::now();
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
  const int code = hub.wait_looking();
  for (auto& thread : threads) thread.join();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  ASSERT_EQ(code, 0) << hub.log();
  const std::uint64_t stated = hub.stated("peak_resident_bytes");
  const std::uint64_t in_flight = hub.stated("peak_in_flight_bytes");
  std::cout << num_elements << " elements: peak of `concordat coordinate` " << (stated >> 20U)
            << " MiB, in flight " << (in_flight >> 20U) << " MiB, " << seconds.count() << " s\n";
  EXPECT_LT(stated, 128U << 20U);
  EXPECT_GT(stated, 4U << 20U);
  // The last look from outside may be milliseconds before the end.
  EXPECT_LE(hub.seen_bytes(), stated + (1U << 20U));
  EXPECT_GE(hub.seen_bytes() + (8U << 20U), stated);
  EXPECT_GT(in_flight, 0U);
  EXPECT_LE(in_flight, buffer_mib << 20U);
  EXPECT_NE(hub.log().find("peak memory " + std::to_string(stated >> 20U) + " MiB"),
            std::string::npos)
      << hub.log();
}

TEST(Memory, ThreeMillionElements) { measure(3'000'000, 14); }
TEST(Memory, AHundredMillionElements) { measure(100'000'000, 20); }

}  // namespace
}  // namespace concordat::coordinator::testing
