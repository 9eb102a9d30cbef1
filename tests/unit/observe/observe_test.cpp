#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "concordat/core/error.hpp"
#include "concordat/observe/metrics.hpp"
#include "concordat/observe/progress.hpp"
#include "concordat/observe/prometheus.hpp"
#include "concordat/observe/tensorboard.hpp"

namespace concordat::observe {
namespace {

class ManualClock final : public Clock {
 public:
  std::chrono::nanoseconds monotonic() const override { return now; }
  std::int64_t unix_seconds() const override { return 1795500000; }
  void sleep(std::chrono::nanoseconds duration) override { now += duration; }
  std::chrono::nanoseconds now{0};
};

class Observe : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    folder_ = std::filesystem::temp_directory_path() / ("concordat-observe-" + name);
    posix_files().remove_all(folder_);
    posix_files().make_directories(folder_);
  }
  void TearDown() override { posix_files().remove_all(folder_); }
  FileSystem::Path folder_;
  ManualClock clock_;
};

TEST_F(Observe, MetricsAreOneJsonObjectPerLineInTheOrderGiven) {
  FileSystem& fs = posix_files();
  MetricsWriter metrics(fs, folder_ / "metrics.jsonl", clock_);
  metrics.append("step", {{"step", 30}, {"loss", 2.5}, {"note", "a \"b\"\\\n"}, {"ok", true}});
  metrics.append("bad", {{"loss", std::nan("")}, {"big", std::uint64_t{1} << 63U}});
  metrics.sync();
  EXPECT_EQ(read_text(fs, folder_ / "metrics.jsonl"),
            "{\"event\":\"step\",\"time\":1795500000,\"step\":30,\"loss\":2.5,"
            "\"note\":\"a \\\"b\\\"\\\\\\u000a\",\"ok\":true}\n"
            "{\"event\":\"bad\",\"time\":1795500000,\"loss\":null,\"big\":9223372036854775808}\n");
  EXPECT_EQ(read_metrics(fs, folder_ / "metrics.jsonl").size(), 2U);
  EXPECT_TRUE(read_metrics(fs, folder_ / "none.jsonl").empty());
}

TEST_F(Observe, ARestartAfterATornLineStartsANewOne) {
  FileSystem& fs = posix_files();
  fs.open(folder_ / "metrics.jsonl", OpenMode::truncate)
      ->write(as_bytes("{\"event\":\"step\",\"step\":1}\n{\"event\":\"st"));
  MetricsWriter metrics(fs, folder_ / "metrics.jsonl", clock_);
  metrics.append("step", {{"step", 2}});
  auto lines = read_metrics(fs, folder_ / "metrics.jsonl");
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_NE(lines[1].find("\"step\":2"), std::string::npos);
}

TEST_F(Observe, PrometheusTextHasHelpTypeAndEscapedLabels) {
  PrometheusFile gauges(posix_files(), folder_ / "metrics.prom");
  gauges.set("concordat_loss_nats", "Training loss", {{"site", "al\"ba"}, {"rank", "0"}}, 2.5);
  gauges.set("concordat_loss_nats", "Training loss", {{"site", "b"}}, INFINITY);
  gauges.set("concordat_up", "Alive", {}, 1);
  gauges.set("concordat_up", "Alive", {}, 2);
  gauges.write();
  EXPECT_EQ(read_text(posix_files(), folder_ / "metrics.prom"),
            "# HELP concordat_loss_nats Training loss\n"
            "# TYPE concordat_loss_nats gauge\n"
            "concordat_loss_nats{site=\"al\\\"ba\",rank=\"0\"} 2.5\n"
            "concordat_loss_nats{site=\"b\"} +Inf\n"
            "# HELP concordat_up Alive\n"
            "# TYPE concordat_up gauge\n"
            "concordat_up 2\n");
  EXPECT_THROW(gauges.set("0bad", "", {}, 1), Bug);
  EXPECT_THROW(gauges.set("ok", "", {{"no-dash", "x"}}, 1), Bug);
}

TEST_F(Observe, ProgressLinesTellRateOfTheLatestStretchAndTimeLeft) {
  Progress progress(clock_, {.what = "step", .unit = "tokens", .total = 360, .start = 60});
  EXPECT_EQ(progress.line("starting"), "step 60/360  starting  0 tokens/s  elapsed 0:00");
  clock_.sleep(std::chrono::seconds(10));
  progress.advance(90, 812340);
  EXPECT_EQ(progress.line("loss 2.31"),
            "step 90/360  loss 2.31  81.2k tokens/s  elapsed 0:10  left 1:30");
  clock_.sleep(std::chrono::seconds(20));
  progress.advance(120, 812340 + 40000);
  EXPECT_EQ(progress.line(""), "step 120/360  2k tokens/s  elapsed 0:30  left 2:00");
  EXPECT_DOUBLE_EQ(progress.rate(), 2000.0);
}

TEST_F(Observe, ARateOfWorkedTimeLeavesWaitsOutAndTheTimeLeftDoesNot) {
  Progress progress(clock_, {.what = "step", .unit = "tokens", .total = 40});
  clock_.sleep(std::chrono::seconds(10));
  progress.advance(10, 10'000, 10.0);
  EXPECT_EQ(progress.line(""), "step 10/40  1k tokens/s  elapsed 0:10  left 0:30");
  clock_.sleep(std::chrono::seconds(90));  // 80 of them waited for others
  progress.advance(20, 20'000, 20.0);
  EXPECT_EQ(progress.line(""), "step 20/40  1k tokens/s  elapsed 1:40  left 1:40");
}

TEST_F(Observe, ShortTexts) {
  EXPECT_EQ(short_count(0), "0");
  EXPECT_EQ(short_count(999), "999");
  EXPECT_EQ(short_count(999.9), "1k");
  EXPECT_EQ(short_count(3141592), "3.14M");
  EXPECT_EQ(short_time(12), "0:12");
  EXPECT_EQ(short_time(7384), "2:03:04");
  EXPECT_EQ(short_time(std::nan("")), "?");
  EXPECT_EQ(short_bytes(17), "17 B");
  EXPECT_EQ(short_bytes(1536), "1.5 KiB");
  EXPECT_EQ(short_bytes(std::uint64_t{3} << 30U), "3.0 GiB");
}

TEST_F(Observe, TensorBoardRecordsHaveCheckedLengthsAndOneScalarEach) {
  // RFC 3720, appendix B.4: 32 bytes of zeros; and the usual check value.
  EXPECT_EQ(crc32c(Bytes(32, 0)), 0x8a9136aaU);
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283U);

  FileSystem& fs = posix_files();
  TensorBoardWriter first(fs, folder_ / "board", clock_);
  TensorBoardWriter second(fs, folder_ / "board", clock_);
  first.scalar("train/loss", 300, 2.5F);
  first.sync();
  auto names = fs.list(folder_ / "board");
  ASSERT_EQ(names.size(), 2U);
  EXPECT_EQ(names[0], "events.out.tfevents.1795500000.0");

  Bytes file = read_file(fs, folder_ / "board" / names[0]);
  ByteReader in(file, "events");
  std::vector<Bytes> events;
  while (in.left() > 0) {
    std::uint64_t length = in.u64();
    in.u32();
    ByteView event = in.raw(length);
    std::uint32_t crc = crc32c(event);
    EXPECT_EQ(in.u32(), ((crc >> 15U) | (crc << 17U)) + 0xa282ead8U);
    events.emplace_back(event.begin(), event.end());
  }
  ASSERT_EQ(events.size(), 2U);
  // wall_time 1795500000.0, then file_version or step 300 and the summary.
  EXPECT_EQ(to_hex(events[0]), "09000000f849c1da411a0d627261696e2e4576656e743a32");
  EXPECT_EQ(to_hex(events[1]),
            "09000000f849c1da4110ac022a130a110a0a747261696e2f6c6f7373"
            "1500002040");
}

}  // namespace
}  // namespace concordat::observe
