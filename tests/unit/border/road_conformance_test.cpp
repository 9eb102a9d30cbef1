// Messages and waits over every kind of road: road_suite.hpp.
#include <thread>

#include "unit/border/road_suite.hpp"

namespace concordat::border::testing {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

TEST_P(Road, MessagesOfASiteArriveInTheirOrder) {
  auto road = rig->site(brio);
  std::vector<std::string> sent;
  for (int i = 0; i < 20; ++i) {
    sent.push_back("message " + std::to_string(i));
    road->deliver(up(brio, sent.back()));
  }
  EXPECT_EQ(arrived(), sent);
  for (SiteId peer : desk.peers_of_messages) EXPECT_EQ(peer, brio);
  EXPECT_EQ(rig->hub().connected(), std::vector<SiteId>{brio});
}

TEST_P(Road, ASiteFetchesItsOwnMessagesInTheirOrder) {
  auto road = rig->site(alba);
  auto other = rig->site(cala);
  EXPECT_FALSE(road->fetch(milliseconds(1)));
  for (const char* text : {"one", "two", "three"}) desk.post(alba, down(alba, text).wire());
  desk.post(cala, down(cala, "for cala").wire());
  EXPECT_EQ(fetch_all(*road, alba), (std::vector<std::string>{"one", "two", "three"}));
  EXPECT_EQ(fetch_all(*other, cala), std::vector<std::string>{"for cala"});
  EXPECT_EQ(rig->hub().connected().size(), 2U);
}

TEST_P(Road, AMessageComesAgainUntilItIsAcknowledged) {
  Envelope first = down(alba, "first");
  desk.post(alba, first.wire());
  desk.post(alba, down(alba, "second").wire());
  {
    auto road = rig->site(alba);
    EXPECT_EQ(*road->fetch(milliseconds(1)), copy(first.wire()));
    EXPECT_EQ(*road->fetch(milliseconds(1)), copy(first.wire()));
    road->acknowledge(crypto::sha256(as_bytes("of nothing that was fetched")));
    EXPECT_EQ(*road->fetch(milliseconds(1)), copy(first.wire()));
  }
  auto again = rig->site(alba);  // a border that was started again
  EXPECT_EQ(fetch_all(*again, alba), (std::vector<std::string>{"first", "second"}));
  again->acknowledge(first.digest());  // twice: nothing happens
  EXPECT_FALSE(again->fetch(milliseconds(1)));
}

TEST_P(Road, ALargeMessagePassesWhole) {
  auto road = rig->site(alba);
  const std::string text(700'000, 'x');
  road->deliver(up(alba, text));
  desk.post(alba, down(alba, text).wire());
  EXPECT_EQ(arrived(), std::vector<std::string>{text});
  EXPECT_EQ(fetch_all(*road, alba), std::vector<std::string>{text});
}

TEST_P(Road, ALostRequestHasNotActed) {
  auto road = rig->site(alba);
  road->deliver(up(alba, "before"));
  rig->lose_next(alba, Lost::request);
  Envelope message = up(alba, "lost");
  EXPECT_EQ(code_of([&] { road->deliver(message); }), "border.road_down");
  EXPECT_EQ(arrived().size(), 1U);
  road->deliver(message);
  EXPECT_EQ(arrived(), (std::vector<std::string>{"before", "lost"}));
}

TEST_P(Road, ALostAnswerIsARepeatedRequestWithTheSameAnswer) {
  auto road = rig->site(alba);
  road->deliver(up(alba, "before"));
  rig->lose_next(alba, Lost::answer);
  Envelope message = up(alba, "twice");
  EXPECT_EQ(code_of([&] { road->deliver(message); }), "border.road_down");
  road->deliver(message);
  EXPECT_EQ(arrived(), (std::vector<std::string>{"before", "twice", "twice"}))
      << "receipts sort that out, not roads";
  EXPECT_EQ(desk.messages[1].digest, desk.messages[2].digest);

  rig->lose_next(alba, Lost::answer);
  desk.post(alba, down(alba, "down").wire());
  // Where nothing is asked for, nothing tells that it was lost.
  EXPECT_EQ(code_of([&] { EXPECT_FALSE(road->fetch(milliseconds(1))); }),
            road->manner().answers_at_once ? "border.road_down" : "nothing");
  EXPECT_EQ(fetch_all(*road, alba), std::vector<std::string>{"down"});
}

TEST_P(Road, ARefusedMessageIsToldWithItsCodeAndTheRoadGoesOn) {
  auto road = rig->site(alba);
  World stranger;
  const Header theirs = stranger.header(MessageType::ready);
  Envelope wrong = stranger.seal(theirs, as_bytes("garbage to everybody here"));
  try {
    road->deliver(wrong);
    FAIL() << "a stranger's message was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code().name, "border.peer_refused");
    EXPECT_NE(error.fields().found.find("border."), std::string::npos) << error.what();
  }
  road->deliver(up(alba, "good"));
  EXPECT_EQ(arrived(), std::vector<std::string>{"good"});
}

TEST_P(Road, AWaitingFetchGetsWhatComes) {
  auto road = rig->site(alba);
  std::thread poster([&] {
    std::this_thread::sleep_for(milliseconds(100));
    desk.post(alba, down(alba, "late").wire());
  });
  const auto begin = Clock::now();
  EXPECT_TRUE(road->fetch(milliseconds(20'000)));
  EXPECT_LT(Clock::now() - begin, milliseconds(10'000));
  poster.join();
}

TEST_P(Road, AFetchEndsWithItsWait) {
  auto road = rig->site(alba);
  const auto begin = Clock::now();
  EXPECT_FALSE(road->fetch(milliseconds(120)));
  EXPECT_GE(Clock::now() - begin, milliseconds(110));
}

TEST_P(Road, StopEndsAWaitingFetchAndAllLaterCalls) {
  auto road = rig->site(alba);
  std::thread stopper([&] {
    std::this_thread::sleep_for(milliseconds(100));
    road->stop();
  });
  const auto begin = Clock::now();
  EXPECT_EQ(code_of([&] { road->fetch(milliseconds(50'000)); }), "border.road_stopped");
  EXPECT_LT(Clock::now() - begin, milliseconds(10'000));
  stopper.join();
  EXPECT_EQ(code_of([&] { road->deliver(up(alba, "x")); }), "border.road_stopped");
  EXPECT_EQ(code_of([&] { road->flush_blocks(exchange); }), "border.road_stopped");
}

TEST_P(Road, TheCoordinatorsStopDoesNotWaitForFetches) {
  auto road = rig->site(alba);
  const bool at_once = road->manner().answers_at_once;
  std::thread fetcher([&] {
    EXPECT_EQ(code_of([&] { road->fetch(milliseconds(50'000)); }),
              at_once ? "border.road_down" : "border.road_stopped");
  });
  std::this_thread::sleep_for(milliseconds(100));
  const auto begin = Clock::now();
  rig->hub().stop();
  EXPECT_LT(Clock::now() - begin, milliseconds(5'000));
  if (!at_once) road->stop();  // such a road cannot know
  fetcher.join();
}

TEST_P(Road, ACoordinatorThatIsGoneIsARoadThatIsDownUntilItIsBack) {
  auto road = rig->site(alba);
  Envelope message = up(alba, "again");
  road->deliver(message);
  rig->hang_up();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(code_of([&] { road->deliver(message); }), "border.road_down");
  }
  rig->listen(desk);
  // A connection that died with the old coordinator may cost one more try.
  if (code_of([&] { road->deliver(message); }) != "nothing") road->deliver(message);
  std::vector<std::string> came = arrived();
  // What was put into a spool once more may find the first copy taken.
  if (!road->manner().answers_at_once && came.size() == 3) came.pop_back();
  EXPECT_EQ(came, (std::vector<std::string>{"again", "again"}));
}

// Whole conversations at the same time: no message reaches the wrong site or is lost.
TEST_P(Road, ThreeSitesTalkAtOnce) {
  std::vector<std::vector<Envelope>> ups(3), downs(3);
  for (std::uint32_t i = 0; i < 3; ++i) {
    for (int k = 0; k < 10; ++k) {
      const std::string text = std::to_string(i) + "." + std::to_string(k);
      ups[i].push_back(up(SiteId{i}, text));
      downs[i].push_back(down(SiteId{i}, text));
    }
  }
  std::vector<std::thread> sites;
  for (std::uint32_t i = 0; i < 3; ++i) {
    sites.emplace_back([&, i] {
      auto road = rig->site(SiteId{i});
      for (int k = 0; k < 10; ++k) {
        road->deliver(ups[i][static_cast<std::size_t>(k)]);
        desk.post(SiteId{i}, downs[i][static_cast<std::size_t>(k)].wire());
        auto wire = road->fetch(milliseconds(5'000));
        ASSERT_TRUE(wire);
        EXPECT_EQ(to_string(world.open(*wire, SiteId{i}).body),
                  std::to_string(i) + "." + std::to_string(k));
        road->acknowledge(crypto::sha256(*wire));
      }
    });
  }
  for (std::thread& thread : sites) thread.join();
  std::map<SiteId, int> next;
  for (std::size_t at = 0; at < desk.messages.size(); ++at) {
    const SiteId peer = desk.peers_of_messages[at];
    EXPECT_EQ(to_string(desk.messages[at].body),
              std::to_string(peer.value()) + "." + std::to_string(next[peer]++));
  }
  EXPECT_EQ(desk.messages.size(), 30U);
}

INSTANTIATE_TEST_SUITE_P(Roads, Road, ::testing::ValuesIn(road_kinds()),
                         [](const auto& kind) { return std::string(kind.param.name); });

}  // namespace
}  // namespace concordat::border::testing
