// What a member, and a mover that brings blocks late, can do to the coordinator's end of the spool
// road.
#include "unit/border/spool_scene.hpp"

namespace concordat::border::testing {
namespace {

struct Abuse {
  const char* what;
  Bytes body;
  std::string code;
};

TEST(HostileSpool, WhatAMemberAbusesIsRefusedAndTheRoadGoesOn) {
  SpoolScene scene;
  Upload upload;
  scene.serve(upload);
  scene.start();
  const auto range = [&](std::uint64_t first, std::uint64_t last) {
    return SpoolScene::record(Request::fetch_blocks, encode({exchange_3, first, last}));
  };
  const Bytes ack = SpoolScene::record(Request::acknowledge, Bytes(32, 1));
  Bytes many;
  while (many.size() < 65'500) many = SpoolScene::joined(std::move(many), ack);
  Bytes unknown;
  for (int i = 0; i < 100'000; ++i) append_record(unknown, {9, {}});
  const std::vector<Abuse> abuses{
      {"an unknown record", SpoolScene::record(static_cast<Request>(9), {}), "border.road_abused"},
      {"a hundred thousand", unknown, "border.road_abused"},
      {"a fetch", SpoolScene::record(Request::fetch, Bytes(4)), "border.road_abused"},
      {"a long payload", SpoolScene::record(Request::deliver, Bytes(5U << 20U)),
       "border.road_abused"},
      {"an end inside a record", {1, 255, 255, 0, 0, 1}, "core.malformed"},
      {"an end inside a head", {4, 12}, "core.malformed"},
      {"a short payload", SpoolScene::record(Request::upload_position, Bytes(11)),
       "core.malformed"},
      {"a range of 513", range(0, 513), "border.road_abused"},
      {"a range backwards", range(2, 1), "border.road_abused"},
      {"a range and more", SpoolScene::joined(range(0, 1), range(0, 1)), "border.road_abused"},
      {"a range in a large file", SpoolScene::joined(many, range(0, 1)), "border.road_abused"},
  };
  for (const Abuse& abuse : abuses) {
    const auto answers = scene.ask(alba, abuse.body);
    ASSERT_EQ(answers.size(), 1U) << abuse.what;
    EXPECT_EQ(answers[0].code(), abuse.code) << abuse.what;
    EXPECT_EQ(scene.ask(brio, range(0, 1)).at(0).code(), "done") << abuse.what;
  }
  EXPECT_TRUE(names_in(scene.up(alba)).empty());
  EXPECT_LE(scene.budget->peak_bytes(), scene.budget->limit_bytes());
}

TEST(HostileSpool, ANoteAsksForNothing) {
  SpoolScene scene;
  Upload upload;
  scene.serve(upload);
  scene.start();
  for (SpoolKind kind : {SpoolKind::note, SpoolKind::blocks}) {
    scene.put_up(alba, {.kind = kind, .series = 7, .number = 1},
                 SpoolScene::record(Request::fetch_blocks, encode({exchange_3, 0, 3})));
    scene.looked(alba);
  }
  EXPECT_TRUE(names_in(scene.down(alba)).empty());
  EXPECT_TRUE(names_in(scene.up(alba)).empty());
}

// A member may ask for the most that fits into one answer, again and again, and take none.
TEST(HostileSpool, AnswersThatNobodyTakesDoNotPileUp) {
  SpoolScene scene;
  Upload upload;
  scene.serve(upload);
  scene.start();
  for (std::uint32_t i = 0; i < 50; ++i) {
    const std::uint64_t series = i % 2 == 0 ? 7 : 100 + i;
    scene.put_up(alba, {.kind = SpoolKind::request, .series = series, .number = i},
                 SpoolScene::record(Request::fetch_blocks, encode({exchange_3, 0, 3})));
  }
  scene.looked(alba);
  EXPECT_LE(names_in(scene.down(alba)).size(), 8U);
}

/// Takes blocks in order alone, and of exchange 3 alone, as the coordinator does.
class InOrder final : public PassOn {
 public:
  InOrder(Desk& desk, const FrameTable& table) : PassOn(desk), desk_(desk), table_(table) {}
  void accept_block(SiteId peer, ByteView wire) override {
    const FrameClaim claim = read_frame_claim(wire);
    if (claim.exchange != exchange_3) refuse("coordinator.not_open");
    std::uint64_t next = 0;
    {
      std::lock_guard lock(desk_.mutex);
      next = desk_.blocks[peer].size();
    }
    if (table_.position(claim.place) > next) refuse("coordinator.out_of_order");
    PassOn::accept_block(peer, wire);
  }

 private:
  [[noreturn]] static void refuse(std::string_view code) {
    throw Error(ErrorCode{code, Severity::request, ExitCode::data}, {.what = "not now"});
  }
  Desk& desk_;
  FrameTable table_;
};

struct Uploading : SpoolScene {
  Upload upload{};
  Announcement announced = upload.announce(world, world.header(MessageType::header));
  InOrder handler{desk, upload.table};
  Uploading() {
    desk.opener.emplace(world.open(announced.message.wire()), world.peers);
    start(handler);
  }
  ~Uploading() { stop(); }
  Bytes block(std::uint64_t at) {
    return record(Request::block, upload.frame(announced.frames, at));
  }
  Bytes flush() { return record(Request::flush, exchange_bytes(exchange_3)); }
  std::uint64_t position(const Answered& answer) {
    EXPECT_EQ(answer.code(), "done");
    return read_position(answer.payload);
  }
};

TEST(HostileSpool, BlocksThatAreLostOrLateAreNoRefusal) {
  Uploading scene;
  // The flush overtakes the blocks before its own.
  EXPECT_EQ(scene.position(scene.ask(alba, scene.joined(scene.block(2), scene.flush())).at(0)), 0U);
  scene.put_up(alba, {.kind = SpoolKind::blocks, .series = 7, .number = 0},
               scene.joined(scene.block(0), scene.block(1)));
  scene.looked(alba);
  EXPECT_EQ(scene.position(scene.ask(alba, scene.joined(scene.block(2), scene.flush())).at(0)), 3U);
}

TEST(HostileSpool, ReplayedBlocksOfLastWeekRefuseNothingToday) {
  Uploading scene;
  Header before = scene.world.header(MessageType::header);
  before.exchange.round = Round{2};
  Announcement old = scene.upload.announce(scene.world, before);
  const Bytes stale = scene.record(Request::block, scene.upload.frame(old.frames, 0));
  for (std::uint64_t series : {7, 8}) {
    scene.put_up(alba, {.kind = SpoolKind::blocks, .series = series, .number = 0}, stale);
    scene.looked(alba);
    const Bytes body = scene.joined(scene.block(series - 7), scene.flush());
    EXPECT_EQ(scene.position(scene.ask(alba, body).at(0)), series - 6);
  }
  // A refused block of the same upload is the flush's answer, once.
  Bytes broken = scene.upload.frame(scene.announced.frames, 2);
  broken.back() ^= 1U;
  const Bytes body = scene.joined(scene.record(Request::block, broken), scene.flush());
  EXPECT_EQ(scene.ask(alba, body).at(0).code(), "border.not_authentic");
  EXPECT_EQ(scene.position(scene.ask(alba, scene.flush()).at(0)), 2U);
}

}  // namespace
}  // namespace concordat::border::testing
