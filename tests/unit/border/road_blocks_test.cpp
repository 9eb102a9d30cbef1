// Uploads and aggregates over every kind of road: road_suite.hpp.
#include <thread>

#include "unit/border/road_suite.hpp"

namespace concordat::border::testing {
namespace {

using std::chrono::milliseconds;

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

}  // namespace
}  // namespace concordat::border::testing
