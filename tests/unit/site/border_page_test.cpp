#include "concordat/site/border_page.hpp"

#include <gtest/gtest.h>

#include "concordat/federation/site_exchange.hpp"
#include "site/border_pages.hpp"
#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"
#include "unit/site/border_world.hpp"

namespace concordat::site {
namespace {

/// A road that is down or answers with nothing.
class Wire final : public border::SiteRoad {
 public:
  bool down = false;
  bool refuses = false;
  void deliver(const border::Envelope&) override { ask(); }
  std::optional<Bytes> fetch(std::chrono::milliseconds) override {
    ask();
    return std::nullopt;
  }
  void acknowledge(const Digest&) override { ask(); }
  std::uint64_t upload_position(const ExchangeId&) override {
    ask();
    return 7;
  }
  void deliver_block(const border::Envelope&) override { ask(); }
  std::uint64_t flush_blocks(const ExchangeId&) override {
    ask();
    return 0;
  }
  void fetch_blocks(const ExchangeId&, std::uint64_t, std::uint64_t,
                    const std::function<void(ByteView)>&) override {
    ask();
  }
  void stop() override {}

 private:
  void ask() const {
    if (down) throw Error(border::errors::road_down, {.what = "down", .found = "no route"});
    if (refuses) throw Error(border::errors::peer_refused, {.what = "refused"});
  }
};

class BorderPageTest : public ::testing::Test {
 protected:
  BorderPage read() { return read_border_page(posix_files(), folder_.path()).value(); }
  testing_support::TemporaryFolder folder_;
  testing::TestClock clock_;
};

TEST_F(BorderPageTest, ReadsBackWhatWasWritten) {
  EXPECT_EQ(read_border_page(posix_files(), folder_.path()), std::nullopt);
  const BorderPage page{.site = "alba",
                        .coordinator = "hub:1",
                        .spool = "/data/alba/spool",
                        .round = 3,
                        .rounds = 9,
                        .phase = "agreed",
                        .phase_since = 4,
                        .reached = 5,
                        .trouble = "it \"hangs\"",
                        .trouble_since = 6,
                        .updated = 7,
                        .end = "saved"};
  write_border_page(posix_files(), folder_.path(), page);
  EXPECT_EQ(read(), page);
  EXPECT_EQ(posix_files().mode(folder_.path() / border_page_name) & 0077U, 0U);
}

TEST_F(BorderPageTest, APageOfBeforeTheSpoolIsRead) {
  write_border_page(posix_files(), folder_.path(), {.site = "alba", .phase = "idle"});
  const auto path = folder_.path() / border_page_name;
  std::string text = read_text(posix_files(), path);
  const std::string line = "  \"spool\": \"\",\n";
  ASSERT_NE(text.find(line), std::string::npos) << text;
  text.erase(text.find(line), line.size());
  testing_support::overwrite(path, as_bytes(text));
  EXPECT_EQ(read().phase, "idle");
  EXPECT_EQ(read().spool, "");
}

TEST_F(BorderPageTest, EveryPhaseHasAClauseOfItsOwn) {
  std::set<std::string> clauses;
  for (int phase = 0; phase <= static_cast<int>(federation::SitePhase::finished); ++phase) {
    const auto name = federation::name_of(static_cast<federation::SitePhase>(phase));
    const std::string clause = BorderPage{.phase = std::string(name)}.text();
    EXPECT_EQ(clause.find("is in phase"), std::string::npos) << clause;
    EXPECT_TRUE(clauses.insert(clause).second) << clause;
  }
}

TEST_F(BorderPageTest, AWatchedRoadKnowsWhenTheCoordinatorAnsweredAndWhatIsWrongSince) {
  Wire wire;
  int changes = 0;
  WatchedRoad road(wire, clock_, [&] { ++changes; });
  EXPECT_EQ(road.reached_unix_seconds(), 0);
  wire.down = true;
  for (int i = 0; i < 3; ++i) EXPECT_ERROR(road.fetch({}), border::errors::road_down);
  EXPECT_EQ(changes, 1);
  EXPECT_EQ(road.trouble(), "down (no route)");
  EXPECT_EQ(road.trouble_since_unix_seconds(), clock_.unix_seconds());
  wire.down = false;
  wire.refuses = true;  // a refusal is an answer
  EXPECT_ERROR(road.acknowledge({}), border::errors::peer_refused);
  EXPECT_EQ(changes, 2);
  EXPECT_EQ(road.trouble(), "");
  EXPECT_EQ(road.reached_unix_seconds(), clock_.unix_seconds());
  wire.refuses = false;
  EXPECT_EQ(road.upload_position({}), 7U);
  EXPECT_EQ(changes, 2);
}

TEST_F(BorderPageTest, ThePageFollowsLoopAndRoad) {
  Wire wire;
  BorderPages pages(posix_files(), clock_, folder_.path(), {.site = "alba", .rounds = 2});
  WatchedRoad road(wire, clock_, [&] { pages.show(road); });
  pages.show({Round{1}, "ready"}, road);
  EXPECT_EQ(read().round, 1U);
  EXPECT_EQ(read().text(), "waits until every site is ready");
  wire.down = true;
  EXPECT_ERROR(road.fetch({}), border::errors::road_down);
  EXPECT_NE(read().text().find("cannot reach the coordinator"), std::string::npos);
  wire.down = false;
  road.fetch({});
  EXPECT_EQ(read().trouble, "");
  EXPECT_GT(read().reached, 0);
  // Nothing new: the file stays as it is until half a minute has passed.
  posix_files().remove(folder_.path() / border_page_name);
  pages.show({Round{1}, "ready"}, road);
  EXPECT_EQ(read_border_page(posix_files(), folder_.path()), std::nullopt);
  clock_.sleep(std::chrono::seconds(31));
  pages.show({Round{1}, "ready"}, road);
  EXPECT_EQ(read().phase, "ready");
  pages.end("done");
  EXPECT_EQ(read().end, "done");
}

TEST_F(BorderPageTest, APageThatCannotBeWrittenStopsNobody) {
  testing_support::FaultyFiles full;
  full.fail_at(1);
  BorderPages pages(full, clock_, folder_.path(), {});
  Wire wire;
  WatchedRoad road(wire, clock_, {});
  EXPECT_NO_THROW(pages.show({Round{1}, "ready"}, road));
  EXPECT_NO_THROW(pages.end("done"));
}

}  // namespace
}  // namespace concordat::site
