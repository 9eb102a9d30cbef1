// What every road has to do, whatever it is made of: the contract of road.hpp, case by case, over
// each kind of road. What only one kind can be asked for is in that road's own tests.
#include <thread>

#include "unit/border/road_rig.hpp"

namespace concordat::border::testing {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

class Road : public ::testing::TestWithParam<RoadKind> {
 protected:
  void SetUp() override { rig->listen(desk); }
  void TearDown() override { rig->hang_up(); }

  Envelope up(SiteId from, std::string_view text, MessageType type = MessageType::ready) {
    return world.seal(world.header(type, from), as_bytes(text));
  }
  Envelope down(SiteId to, std::string_view text) {
    return world.seal(world.header(MessageType::go, coordinator_id, to), as_bytes(text));
  }
  std::vector<std::string> arrived() {
    std::lock_guard lock(desk.mutex);
    std::vector<std::string> texts;
    for (const OpenedMessage& message : desk.messages) texts.push_back(to_string(message.body));
    return texts;
  }
  /// Everything that lies ready for the site, acknowledged.
  std::vector<std::string> fetch_all(SiteRoad& road, SiteId id) {
    std::vector<std::string> texts;
    while (auto wire = road.fetch(milliseconds(1))) {
      texts.push_back(to_string(world.open(*wire, id).body));
      road.acknowledge(crypto::sha256(*wire));
    }
    return texts;
  }
  void expect_uploaded(SiteId id, const Upload& upload) {
    ASSERT_EQ(desk.blocks[id].size(), upload.blocks.size());
    for (std::size_t at = 0; at < upload.blocks.size(); ++at) {
      EXPECT_EQ(desk.blocks[id][at].bytes, upload.blocks[at]) << "position " << at;
    }
  }

  World world;
  Desk desk{world};
  std::unique_ptr<RoadRig> rig = GetParam().make(world);
  ExchangeId exchange{Round{3}, Fragment{0}, Attempt{0}};
};

/// An announced upload of one site, frame by frame.
class Sending {
 public:
  Sending(World& world, Desk& desk, const Upload& upload)
      : upload_(upload), announced_(upload.announce(world, world.header(MessageType::header))) {
    desk.opener.emplace(world.open(announced_.message.wire()), world.peers);
  }
  Envelope frame(std::uint64_t at) {
    return announced_.frames.seal(upload_.table.place(at), upload_.blocks[at],
                                  crypto::inclusion_path(upload_.leaves, at));
  }

 private:
  const Upload& upload_;
  Announcement announced_;
};

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

  desk.post(alba, down(alba, "down").wire());
  rig->lose_next(alba, Lost::answer);
  EXPECT_EQ(code_of([&] { road->fetch(milliseconds(1)); }), "border.road_down");
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

TEST_P(Road, BlocksArriveInTheirOrderAndAreDurableAtTheFlush) {
  Upload upload(3U << 18U, 1U << 18U);  // three blocks of 512 KiB and the weight
  Sending sending(world, desk, upload);
  auto road = rig->site(alba);
  EXPECT_EQ(road->upload_position(exchange), 0U);
  for (std::uint64_t at = 0; at < 4; ++at) road->deliver_block(sending.frame(at));
  EXPECT_EQ(road->flush_blocks(exchange), 4U);
  EXPECT_EQ(road->flush_blocks(exchange), 4U) << "a repeated flush";
  expect_uploaded(alba, upload);
}

TEST_P(Road, AnUploadGoesOnFromWhereItWasDurable) {
  Upload upload(2000, 256);  // eight blocks and the weight
  Sending sending(world, desk, upload);
  auto road = rig->site(alba);
  for (std::uint64_t at = 0; at < 3; ++at) road->deliver_block(sending.frame(at));
  EXPECT_EQ(road->flush_blocks(exchange), 3U);
  for (std::uint64_t at = 3; at < 6; ++at) road->deliver_block(sending.frame(at));
  rig->lose_next(alba, Lost::request);
  const std::string code = code_of([&] {
    road->deliver_block(sending.frame(6));
    road->flush_blocks(exchange);
  });
  EXPECT_EQ(code, "border.road_down");
  // What was handed over and not flushed counts for nothing.
  std::uint64_t at = road->upload_position(exchange);
  EXPECT_EQ(at, 3U);
  for (; at < upload.table.num_leaves(); ++at) road->deliver_block(sending.frame(at));
  rig->lose_next(alba, Lost::answer);
  EXPECT_EQ(code_of([&] { road->flush_blocks(exchange); }), "border.road_down");
  EXPECT_EQ(road->upload_position(exchange), 9U) << "it was durable, only nobody said so";
  expect_uploaded(alba, upload);
}

TEST_P(Road, ARefusedBlockIsToldByTheFlushAndTheRoadGoesOn) {
  Upload upload;
  Announcement never_sent = upload.announce(world, world.header(MessageType::header));
  auto road = rig->site(alba);
  try {
    for (int i = 0; i < 3; ++i) {
      road->deliver_block(never_sent.frames.seal(upload.table.place(0), upload.blocks[0],
                                                 crypto::inclusion_path(upload.leaves, 0)));
    }
    road->flush_blocks(exchange);
    FAIL() << "the header never came";
  } catch (const Error& error) {
    EXPECT_EQ(error.code().name, "border.peer_refused");
    EXPECT_NE(error.fields().found.find("border.no_header"), std::string::npos) << error.what();
  }
  EXPECT_EQ(road->flush_blocks(exchange), 0U);
  road->deliver(up(alba, "good"));
  EXPECT_EQ(arrived().size(), 1U);
}

TEST_P(Road, TheAggregateComesInAnyRangeInItsOrder) {
  Upload sum(4000, 256);
  Announcement announced =
      sum.announce(world, world.header(MessageType::aggregate, coordinator_id, alba));
  desk.aggregate = &sum;
  FrameOpener opener(world.open(announced.message.wire(), alba), world.peers);
  desk.sealer.emplace(std::move(announced.frames));
  auto road = rig->site(alba);
  const std::uint64_t all = sum.table.num_leaves();
  using Range = std::pair<std::uint64_t, std::uint64_t>;
  for (const auto& [first, last] : {Range{0, all}, Range{5, 9}, Range{all - 1, all}, Range{4, 4}}) {
    std::uint64_t position = first;
    road->fetch_blocks(exchange, first, last, [&](ByteView wire) {
      EXPECT_EQ(opener.open(wire).bytes, sum.blocks.at(position++));
    });
    EXPECT_EQ(position, last);
  }
}

// A site that finds one block wrong, or whose disk is full, gives up in the middle of a range.
TEST_P(Road, WhoGivesUpInARangeGetsItOnceMore) {
  Upload sum(2000, 256);
  Announcement announced =
      sum.announce(world, world.header(MessageType::aggregate, coordinator_id, alba));
  desk.aggregate = &sum;
  FrameOpener opener(world.open(announced.message.wire(), alba), world.peers);
  desk.sealer.emplace(std::move(announced.frames));
  auto road = rig->site(alba);
  int taken = 0;
  EXPECT_EQ(code_of([&] {
              road->fetch_blocks(exchange, 0, 9, [&](ByteView) {
                if (++taken == 3) throw Error(concordat::errors::disk_full, {.what = "a test"});
              });
            }),
            "core.disk_full");
  EXPECT_EQ(taken, 3);
  std::uint64_t position = 2;
  road->fetch_blocks(exchange, 2, 9, [&](ByteView wire) {
    EXPECT_EQ(opener.open(wire).bytes, sum.blocks.at(position++));
  });
  EXPECT_EQ(position, 9U);
  road->deliver(up(alba, "and goes on"));
  EXPECT_EQ(arrived().size(), 1U);
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
  std::thread fetcher(
      [&] { EXPECT_EQ(code_of([&] { road->fetch(milliseconds(50'000)); }), "border.road_down"); });
  std::this_thread::sleep_for(milliseconds(100));
  const auto begin = Clock::now();
  rig->hub().stop();
  EXPECT_LT(Clock::now() - begin, milliseconds(5'000));
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
  EXPECT_EQ(arrived(), (std::vector<std::string>{"again", "again"}));
}

/// A desk that is slow with blocks and counts how many it has in hand.
class SlowDesk final : public Desk {
 public:
  using Desk::Desk;
  void accept_block(SiteId peer, ByteView wire) override {
    const int now = ++in_hand;
    int before = most_in_hand;
    while (now > before && !most_in_hand.compare_exchange_weak(before, now)) {
    }
    std::this_thread::sleep_for(milliseconds(5));
    Desk::accept_block(peer, wire);
    --in_hand;
  }
  std::atomic<int> in_hand = 0, most_in_hand = 0;
};

// Three sites send as fast as they can to a coordinator that cannot: nothing is lost, and what is
// in flight stays under the limit, so the senders are what waits.
TEST_P(Road, ASlowCoordinatorHoldsTheSendersBack) {
  SlowDesk slow(world);
  rig->hang_up();
  rig->listen(slow);
  Upload upload(6U << 19U, 1U << 19U);  // six blocks of 1 MiB and the weight, from each site
  Sending sending(world, slow, upload);
  std::vector<std::thread> sites;
  std::mutex sealing;  // the sealer is one site's; three share it here
  for (SiteId id : {alba, brio, cala}) {
    sites.emplace_back([&, id] {
      auto road = rig->site(id);
      for (std::uint64_t at = 0; at < upload.table.num_leaves(); ++at) {
        std::optional<Envelope> frame;
        {
          std::lock_guard lock(sealing);
          frame.emplace(sending.frame(at));
        }
        road->deliver_block(*frame);
      }
      EXPECT_EQ(road->flush_blocks(exchange), upload.table.num_leaves());
    });
  }
  for (std::thread& thread : sites) thread.join();
  for (SiteId id : {alba, brio, cala}) {
    ASSERT_EQ(slow.blocks[id].size(), upload.blocks.size());
    for (std::size_t at = 0; at < upload.blocks.size(); ++at) {
      EXPECT_EQ(slow.blocks[id][at].bytes, upload.blocks[at]);
    }
  }
  EXPECT_LE(slow.most_in_hand, 3);
  EXPECT_LE(rig->peak_in_flight_bytes(), rig->limit_bytes());
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
