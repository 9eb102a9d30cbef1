// Full disks, kills and restarts at either end of the spool road, and a mover that never removes.
#include "unit/border/spool_scene.hpp"

namespace concordat::border::testing {
namespace {

SpoolName request_in(const fs::path& folder) {
  for (const std::string& text : names_in(folder)) {
    const auto name = spool_name_from(text);
    if (name && name->kind == SpoolKind::request) return *name;
  }
  ADD_FAILURE() << "no request in " << folder;
  return {};
}

/// Waits for a whole one.
std::string first_file_in(const fs::path& folder) {
  std::string first;
  until([&] {
    for (const std::string& name : names_in(folder)) {
      if (spool_name_from(name)) first = name;
    }
    return !first.empty();
  });
  return first;
}

// At every change of the file system in turn: the call says that the road is down, nothing piles
// up, and the same call succeeds when there is room again.
TEST(SpoolCrash, AFullDiskAtASiteIsARoadThatIsDown) {
  SpoolScene scene;
  scene.start();
  testing_support::FaultyFiles files;
  auto road = scene.site(alba, files);
  int down = 0;
  for (std::uint64_t at = 1; at < 20; ++at) {
    const Envelope message = scene.ready(alba, std::to_string(at));
    files.fail_at(at);
    const std::string code = code_of([&] { until_answered([&] { road->deliver(message); }); });
    files.heal();
    EXPECT_TRUE(code == "border.road_down" || code == "nothing") << code;
    if (code == "border.road_down") ++down;
    until_answered([&] { road->deliver(message); });
    EXPECT_LE(names_in(scene.up(alba)).size(), 3U) << at;
  }
  EXPECT_GT(down, 3);
}

TEST(SpoolCrash, AFullDiskAtTheCoordinatorIsALaterAnswer) {
  SpoolScene scene;
  scene.start();
  auto road = scene.site(alba);
  for (std::uint64_t at = 1; at < 8; ++at) {
    scene.hub_files.fail_at(at);
    const Envelope message = scene.ready(alba, std::to_string(at));
    // The last of the changes come after the answer.
    const std::string code = code_of([&] { road->deliver(message); });
    EXPECT_TRUE(code == "border.road_waits" || (at > 5 && code == "nothing")) << code << " " << at;
    until([&] { return scene.hub_files.changes() >= at; });
    scene.desk.post(alba, scene.go(alba, std::to_string(at)).wire());
    scene.hub_files.heal();
    until_answered([&] { road->deliver(message); });
    std::optional<Bytes> wire;
    until([&] { return (wire = road->fetch(milliseconds(0))).has_value(); });
    road->acknowledge(crypto::sha256(*wire));
    until([&] { return scene.num_queued(alba) == 0; });
    EXPECT_LE(names_in(scene.down(alba)).size(), 3U);
  }
}

/// Copies what is not there yet, both ways, and removes nothing.
class CopyingMover {
 public:
  CopyingMover(fs::path hub, fs::path site)
      : hub_(std::move(hub)), site_(std::move(site)), thread_([this] {
          while (!stopping_) {
            carry(site_ / "up", hub_ / "up");
            carry(hub_ / "down", site_ / "down");
            std::this_thread::sleep_for(milliseconds(1));
          }
        }) {}
  ~CopyingMover() {
    stopping_ = true;
    thread_.join();
  }

 private:
  static void carry(const fs::path& from, const fs::path& to) {
    for (const std::string& name : names_in(from)) {
      std::error_code gone;
      if (!spool_name_from(name) || fs::exists(to / name)) continue;
      const fs::path half = to / (".copy-" + name);
      if (fs::copy_file(from / name, half, fs::copy_options::overwrite_existing, gone)) {
        fs::rename(half, to / name);
      }
    }
  }
  fs::path hub_, site_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

TEST(SpoolCrash, AMoverThatNeverRemovesMakesNothingGrow) {
  SpoolScene scene;
  const fs::path folder = scene.world.folder.path / "alba-spool";
  Upload upload;
  Announcement announced = upload.announce(scene.world, scene.world.header(MessageType::header));
  scene.desk.opener.emplace(scene.world.open(announced.message.wire()), scene.world.peers);
  scene.serve(upload);
  scene.start();
  auto road = scene.site_at(folder, alba);
  {
    CopyingMover mover(scene.folder(alba), folder);
    for (int i = 0; i < 25; ++i) {  // a hundred requests
      until_answered([&] { road->deliver(scene.ready(alba, "x")); });
      const Envelope message = scene.go(alba, std::to_string(i));
      scene.desk.post(alba, message.wire());
      // Older ones come again and again.
      until([&] {
        const auto wire = road->fetch(milliseconds(0));
        if (!wire) return false;
        road->acknowledge(crypto::sha256(*wire));
        return crypto::sha256(*wire) == message.digest();
      });
      until_answered([&] { return road->upload_position(exchange_3); });
      road->deliver_block(announced.frames.seal(upload.table.place(0), upload.blocks[0],
                                                crypto::inclusion_path(upload.leaves, 0)));
      EXPECT_EQ(until_answered([&] { return road->flush_blocks(exchange_3); }), 1U);
      std::uint64_t next = 0;
      until_answered([&] {
        road->fetch_blocks(exchange_3, next, 3, [&](ByteView wire) {
          EXPECT_EQ(scene.opener->open(wire).bytes, upload.blocks[next++]);
        });
      });
    }
  }
  for (const fs::path& one : {scene.up(alba), scene.down(alba), folder / "up", folder / "down"}) {
    EXPECT_LE(names_in(one).size(), 8U) << one;
  }
}

// One life of a border: an upload, a message, a download. What throws ends it.
void live(SpoolScene& scene, SiteRoad& road, const Upload& upload, const Announcement& announced) {
  until_answered([&] { road.deliver(announced.message); });
  std::uint64_t position = until_answered([&] { return road.upload_position(exchange_3); });
  for (; position < upload.table.num_leaves(); ++position) {
    road.deliver_block(announced.frames.seal(upload.table.place(position), upload.blocks[position],
                                             crypto::inclusion_path(upload.leaves, position)));
  }
  ASSERT_EQ(until_answered([&] { return road.flush_blocks(exchange_3); }),
            upload.table.num_leaves());
  while (scene.num_queued(alba) > 0) {
    if (const auto wire = road.fetch(milliseconds(1))) road.acknowledge(crypto::sha256(*wire));
  }
  std::uint64_t next = 0;
  until_answered([&] {
    road.fetch_blocks(exchange_3, next, upload.table.num_leaves(), [&](ByteView wire) {
      EXPECT_EQ(scene.opener->open(wire).bytes, upload.blocks[next++]);
    });
  });
  ASSERT_EQ(next, upload.table.num_leaves());
}

// After the fault nothing is written any more, the goodbye neither: what a kill leaves behind.
TEST(SpoolCrash, ABorderThatIsKilledAtAnyChangeOfItsFilesIsFollowedByAnother) {
  SpoolScene scene;
  Upload upload;
  Announcement announced = upload.announce(scene.world, scene.world.header(MessageType::header));
  scene.desk.opener.emplace(scene.world.open(announced.message.wire()), scene.world.peers);
  scene.serve(upload);
  scene.start();
  bool killed = true;
  std::uint64_t at = 3;  // the folders are there
  for (; killed && at < 200; ++at) {
    {
      std::lock_guard lock(scene.desk.mutex);
      scene.desk.blocks.clear();
      scene.desk.durable.clear();
    }
    scene.desk.post(alba, scene.go(alba, std::to_string(at)).wire());
    testing_support::FaultyFiles files;
    {
      auto road = scene.site(alba, files);
      files.fail_at(at);
      killed = code_of([&] { live(scene, *road, upload, announced); }) != "nothing";
    }
    files.heal();
    auto road = scene.site(alba, files);
    live(scene, *road, upload, announced);
    ASSERT_LE(names_in(scene.up(alba)).size(), 6U) << at;
    ASSERT_LE(names_in(scene.down(alba)).size(), 6U) << at;
  }
  EXPECT_FALSE(killed);
  EXPECT_GT(at, 20U);
}

/// A desk whose machine fails at a block, as often as it is told to.
class FailsAtABlock final : public PassOn {
 public:
  using PassOn::PassOn;
  Envelope aggregate_block(SiteId to, const ExchangeId& exchange, std::uint64_t position) override {
    if (position == fails_at) throw Error(errors::road_down, {.what = "the machine stops"});
    return PassOn::aggregate_block(to, exchange, position);
  }
  std::atomic<std::uint64_t> fails_at{~0ULL};
};

struct Downloading : SpoolScene {
  Upload upload{3U << 20U, 1U << 20U};  // three blocks of 2 MiB and the weight: a part for each
  FailsAtABlock handler{desk};
  std::uint64_t next = 0;
  Downloading() {
    serve(upload);
    handler.fails_at = 2;
    start(handler);
  }
  ~Downloading() { stop(); }
  void fetch(SiteRoad& road) {
    road.fetch_blocks(exchange_3, next, 4, [&](ByteView wire) {
      EXPECT_EQ(opener->open(wire).bytes, upload.blocks[next++]);
    });
  }
  /// Until so many blocks are here.
  void fetch_until(SiteRoad& road, std::uint64_t wanted) {
    while (next < wanted) {
      EXPECT_EQ(code_of([&] { fetch(road); }), "border.road_waits");
    }
    EXPECT_EQ(next, wanted);
  }
};

TEST(SpoolCrash, ACoordinatorThatStopsInsideAnAnswerBeginsItAgain) {
  Downloading scene;
  auto road = scene.site(alba);
  scene.fetch_until(*road, 2);
  scene.stop();
  scene.handler.fails_at = ~0ULL;
  scene.start(scene.handler);
  until_answered([&] { scene.fetch(*road); });
  EXPECT_EQ(scene.next, 4U);
}

TEST(SpoolCrash, ARequestThatIsLostInsideItsAnswerIsPutAgainAsItWas) {
  Downloading scene;
  auto road = scene.site(alba);
  scene.fetch_until(*road, 2);
  scene.stop();
  for (const std::string& name : names_in(scene.up(alba))) fs::remove_all(scene.up(alba) / name);
  scene.handler.fails_at = ~0ULL;
  scene.start(scene.handler);
  EXPECT_EQ(code_of([&] { scene.fetch(*road); }), "border.road_waits");
  scene.clock.jump(2 * SpoolScene::answer_limit);
  EXPECT_EQ(code_of([&] { scene.fetch(*road); }), "border.road_down");
  until_answered([&] { scene.fetch(*road); });
  EXPECT_EQ(scene.next, 4U);
}

// A slow mover brings a part every 50 minutes: none of them is overdue.
TEST(SpoolCrash, EachPartOfAnAnswerHasTheWholeLimit) {
  Downloading scene;
  scene.handler.fails_at = ~0ULL;
  const fs::path folder = scene.world.folder.path / "alba-spool";
  auto road = scene.site_at(folder, alba);
  EXPECT_EQ(code_of([&] { scene.fetch(*road); }), "border.road_waits");
  const SpoolName asked = request_in(folder / "up");
  fs::rename(folder / "up" / asked.text(), scene.up(alba) / asked.text());
  for (std::uint32_t part = 0; part < 4; ++part) {
    const SpoolName name{SpoolKind::answer, asked.series, asked.number, part};
    until([&] { return fs::exists(scene.down(alba) / name.text()); });
    scene.clock.jump(std::chrono::minutes(50));
    fs::rename(scene.down(alba) / name.text(), folder / "down" / name.text());
    if (part < 3) scene.fetch_until(*road, part + 1);
  }
  until_answered([&] { scene.fetch(*road); });
  EXPECT_EQ(scene.next, 4U);
}

TEST(SpoolCrash, AHalfWrittenFileOfAKillIsOverwritten) {
  SpoolScene scene;
  scene.start();
  for (int i = 0; i < 5; ++i) {
    testing_support::FaultyFiles files;
    auto road = scene.site(alba, files);
    files.fail_at(3);  // removed, created, not written
    EXPECT_EQ(code_of([&] { road->fetch(milliseconds(0)); }), "border.road_down");
  }
  EXPECT_LE(names_in(scene.up(alba)).size(), 1U);
  auto road = scene.site(alba);
  until_answered([&] { road->deliver(scene.ready(alba)); });
}

TEST(SpoolCrash, ACoordinatorThatComesBackPutsItsMessageOnceMore) {
  SpoolScene scene;
  const Envelope message = scene.go(alba, "go");
  scene.desk.post(alba, message.wire());
  scene.start();
  const std::string before = first_file_in(scene.down(alba));
  const fs::path folder = scene.world.folder.path / "alba-spool";
  auto road = scene.site_at(folder, alba);
  fs::rename(scene.down(alba) / before, folder / "down" / before);
  scene.stop();
  scene.start();
  const std::string after = first_file_in(scene.down(alba));
  fs::rename(scene.down(alba) / after, folder / "down" / after);
  // Twice the same, and then nothing.
  for (int i = 0; i < (before == after ? 1 : 2); ++i) {
    EXPECT_EQ(road->fetch(milliseconds(0)), copy(message.wire()));
    road->acknowledge(message.digest());
  }
  EXPECT_FALSE(road->fetch(milliseconds(0)));
}

}  // namespace
}  // namespace concordat::border::testing
