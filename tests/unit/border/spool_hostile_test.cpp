// What a mover that nobody trusts can do to files of the spool road.
#include "unit/border/spool_scene.hpp"

namespace concordat::border::testing {
namespace {

const SpoolName request_1{.kind = SpoolKind::request, .series = 7, .number = 0xffff};

Bytes changed(Bytes bytes, std::size_t at) {
  bytes.at(at) ^= 1U;
  return bytes;
}

/// "nothing" if it opens, "early" if it is not whole, or the code.
std::string opened(const SpoolSeal& seal, const SpoolName& name, ByteView wire) {
  bool early = false;
  const std::string code = code_of([&] { early = !seal.open(name, wire); });
  return early ? "early" : code;
}

TEST(HostileSpool, NamesParseOnlyThemselves) {
  for (SpoolKind kind : {SpoolKind::request, SpoolKind::answer, SpoolKind::message,
                         SpoolKind::blocks, SpoolKind::note}) {
    SpoolName name{.kind = kind, .series = 0x1234'5678'9abc'def0ULL, .number = 0xfedc'ba98U};
    if (kind == SpoolKind::answer) name.part = 0xff;
    const std::string text = name.text();
    EXPECT_EQ(spool_name_from(text), name) << text;
    for (std::size_t at = 0; at <= text.size(); ++at) {
      for (const char c : std::string("0aAgz-./\0 ", 10)) {
        std::string other = text;
        other.insert(at, 1, c);
        EXPECT_FALSE(spool_name_from(other)) << other;
        if (at == text.size()) continue;
        other = text;
        other[at] = c;
        const auto parsed = spool_name_from(other);
        EXPECT_TRUE(!parsed || parsed->text() == other) << other;
      }
      if (at == text.size()) continue;
      std::string shorter = text;
      shorter.erase(at, 1);
      EXPECT_FALSE(spool_name_from(shorter)) << shorter;
    }
  }
  for (const char* text :
       {"", ".spool", "request", "request-0-0.spool", ".half",
        "request-0000000000000001-00000001-00000001.spool",
        "answer-0000000000000001-00000001.spool", "message-0000000000000001-0000000G.spool"}) {
    EXPECT_FALSE(spool_name_from(text)) << text;
  }
}

TEST(HostileSpool, NoChangedByteIsEverActedOn) {
  SpoolScene scene;
  const Bytes body = SpoolScene::record(Request::deliver, scene.ready(alba).wire());
  const Bytes up = scene.seal(alba).seal(request_1, body);
  EXPECT_EQ(scene.hub_seal(alba).open(request_1, up), body);
  for (std::size_t at = 0; at < up.size(); ++at) {
    ASSERT_EQ(opened(scene.hub_seal(alba), request_1, changed(up, at)), "border.not_authentic")
        << at;
  }
  const SpoolName answer{.kind = SpoolKind::answer, .series = 7, .number = 1, .part = 0};
  const Bytes down = scene.hub_seal(alba).seal(answer, Bytes{1, 0, 0, 0, 0, 0});
  for (std::size_t at = 0; at < down.size(); ++at) {
    ASSERT_EQ(opened(scene.seal(alba), answer, changed(down, at)), "border.not_authentic") << at;
  }
  EXPECT_EQ(opened(scene.seal(alba), answer, SpoolScene::joined(down, Bytes{0})),
            "border.not_authentic");
}

TEST(HostileSpool, NoPrefixOfAFileIsActedOn) {
  SpoolScene scene;
  const Bytes up = scene.seal(alba).seal(request_1, Bytes(100, 3));
  for (std::size_t size = 0; size < up.size(); ++size) {
    ASSERT_EQ(opened(scene.hub_seal(alba), request_1, ByteView(up).first(size)), "early") << size;
  }
  EXPECT_EQ(opened(scene.hub_seal(alba), request_1, up), "nothing");
}

// The other party, the other direction, another federation, another key, another name.
TEST(HostileSpool, AFileIsForOneNameAndOneSpool) {
  SpoolScene scene;
  const Bytes up = scene.seal(alba).seal(request_1, Bytes(100, 3));
  const std::string refused = "border.not_authentic";
  EXPECT_EQ(opened(scene.hub_seal(brio), request_1, up), refused);
  EXPECT_EQ(opened(scene.seal(alba), request_1, up), refused);
  for (SpoolName name : {SpoolName{.kind = SpoolKind::blocks, .series = 7, .number = 0xffff},
                         SpoolName{.kind = SpoolKind::request, .series = 8, .number = 0xffff},
                         SpoolName{.kind = SpoolKind::request, .series = 7, .number = 0xfffe}}) {
    EXPECT_EQ(opened(scene.hub_seal(alba), name, up), refused) << name.text();
  }
  World other;
  const Identity me = other.identity(coordinator_id);
  EXPECT_EQ(opened({me, other.parties.at(coordinator_id).tls, other.peers, alba}, request_1, up),
            refused);
  // A roster's key for messages is none for roads.
  const SpoolSeal wrong_key(scene.parties.at(alba), scene.world.parties.at(alba).signing,
                            scene.world.peers, coordinator_id);
  EXPECT_EQ(opened(scene.hub_seal(alba), request_1, wrong_key.seal(request_1, Bytes(100, 3))),
            refused);
}

TEST(HostileSpool, AFileOfAnotherSiteIsLeftAndNamedAndTheOthersGoOn) {
  SpoolScene scene;
  const Bytes brios = scene.seal(brio).seal(
      request_1, SpoolScene::record(Request::deliver, scene.ready(brio).wire()));
  scene.place(scene.up(alba) / request_1.text(), brios);
  ::testing::internal::CaptureStderr();
  scene.start();
  const Bytes own = SpoolScene::record(Request::deliver, scene.ready(alba).wire());
  EXPECT_EQ(scene.ask(alba, own).at(0).code(), "done");
  scene.looked(alba);
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find(request_1.text()), said.npos) << said;
  EXPECT_TRUE(fs::exists(scene.up(alba) / request_1.text()));
  ASSERT_EQ(scene.num_messages(), 1U);
  EXPECT_EQ(scene.desk.peers_of_messages.at(0), alba);
  // In its own spool it is as good as ever.
  fs::rename(scene.up(alba) / request_1.text(), scene.up(brio) / request_1.text());
  EXPECT_EQ(scene.answers(brio, request_1).at(0).code(), "done");
}

TEST(HostileSpool, AnAnswerToAnotherSiteIsLeftAndTheRightOneIsTaken) {
  SpoolScene scene;
  auto road = scene.site(brio);
  const Envelope message = scene.ready(brio);
  EXPECT_EQ(code_of([&] { road->deliver(message); }), "border.road_waits");
  SpoolName asked{};
  for (const std::string& text : names_in(scene.up(brio))) {
    const auto name = spool_name_from(text);
    if (name && name->kind == SpoolKind::request) asked = *name;
  }
  asked.kind = SpoolKind::answer;
  const Bytes done{1, 0, 0, 0, 0, 0};
  const fs::path path = scene.down(brio) / asked.text();
  scene.place(path, scene.hub_seal(alba).seal(asked, done));
  EXPECT_EQ(code_of([&] { road->deliver(message); }), "border.road_waits");
  EXPECT_TRUE(fs::exists(path));
  scene.place(path, changed(scene.hub_seal(brio).seal(asked, Bytes(9, 1)), 200));
  EXPECT_EQ(code_of([&] { road->deliver(message); }), "border.road_waits");
  scene.place(path, scene.hub_seal(brio).seal(asked, done));
  scene.clock.jump(std::chrono::minutes(1));
  until_answered([&] { road->deliver(message); });
  EXPECT_FALSE(fs::exists(path));
}

TEST(HostileSpool, AFileThatIsStillBeingCopiedIsActedOnWhenItIsWhole) {
  SpoolScene scene;
  scene.start();
  const Bytes wire = scene.seal(alba).seal(
      request_1, SpoolScene::record(Request::deliver, scene.ready(alba).wire()));
  auto file = posix_files().open(scene.up(alba) / request_1.text(), OpenMode::create_exclusive);
  for (std::size_t at = 0; at < wire.size();) {
    const std::size_t some = std::min<std::size_t>(61, wire.size() - at);
    EXPECT_EQ(scene.num_messages(), 0U);
    file->write(ByteView(wire).subspan(at, some));
    at += some;
    if (at < wire.size()) scene.looked(alba);
  }
  EXPECT_EQ(scene.answers(alba, request_1).at(0).code(), "done");
  EXPECT_EQ(scene.num_messages(), 1U);
}

TEST(HostileSpool, AFileThatStaysCutIsNamedAndStillTakenWhenItIsWhole) {
  SpoolScene scene;
  scene.start();
  const Bytes wire = scene.seal(alba).seal(
      request_1, SpoolScene::record(Request::deliver, scene.ready(alba).wire()));
  auto file = posix_files().open(scene.up(alba) / request_1.text(), OpenMode::create_exclusive);
  const auto said_after = [&](std::chrono::minutes time, ByteView more) {
    ::testing::internal::CaptureStderr();
    file->write(more);
    scene.looked(alba);
    scene.clock.jump(time);
    scene.looked(alba);
    return ::testing::internal::GetCapturedStderr();
  };
  const std::size_t half = wire.size() / 2;
  EXPECT_EQ(said_after(std::chrono::minutes(9), ByteView(wire).first(half)), "");
  EXPECT_EQ(said_after(std::chrono::minutes(9), ByteView(wire).subspan(half, 9)), "");
  const std::string said = said_after(std::chrono::minutes(2), {});
  for (const std::string& part : {request_1.text(), std::to_string(half + 9) + " bytes",
                                  std::string("not whole"), std::string("copy it again")}) {
    EXPECT_NE(said.find(part), said.npos) << said;
  }
  EXPECT_EQ(said_after(std::chrono::minutes(20), {}), "");  // once
  file->write(ByteView(wire).subspan(half + 9));
  EXPECT_EQ(scene.answers(alba, request_1).at(0).code(), "done");
}

// The site's end of the same, and the file has its whole length before its content.
TEST(HostileSpool, AMessageThatIsStillBeingCopiedIsFetchedWhenItIsWhole) {
  SpoolScene scene;
  auto road = scene.site(alba);
  const SpoolName name{.kind = SpoolKind::message, .series = 1, .number = 1};
  const Envelope message = scene.go(alba, "go");
  const Bytes wire = scene.hub_seal(alba).seal(name, message.wire());
  auto file = posix_files().open(scene.down(alba) / name.text(), OpenMode::create_exclusive);
  file->write(ByteView(wire).first(wire.size() / 2));
  EXPECT_FALSE(road->fetch(milliseconds(0)));
  file->resize(wire.size());
  EXPECT_FALSE(road->fetch(milliseconds(0)));
  file->write_at(0, wire);
  scene.clock.jump(std::chrono::minutes(1));
  EXPECT_EQ(road->fetch(milliseconds(0)), copy(message.wire()));
}

TEST(HostileSpool, AnEndlessFileCostsNoMemory) {
  SpoolScene scene;
  const SpoolName message{.kind = SpoolKind::message, .series = 1, .number = 1};
  const fs::path own = scene.world.folder.path / "alba-spool";
  auto road = scene.site_at(own, alba);
  for (const fs::path& path : {scene.up(alba) / request_1.text(), own / "down" / message.text()}) {
    posix_files().open(path, OpenMode::create_exclusive)->resize(std::uint64_t{1} << 40U);
  }
  EXPECT_FALSE(road->fetch(milliseconds(0)));
  scene.start();
  scene.looked(alba);
  EXPECT_EQ(scene.budget->peak_bytes(), 0U);
  EXPECT_TRUE(fs::exists(scene.up(alba) / request_1.text()));
}

TEST(HostileSpool, WhatIsNoFileOfTheRoadIsLeftAlone) {
  SpoolScene scene;
  const SpoolName answer{.kind = SpoolKind::answer, .series = 9, .number = 1, .part = 0};
  const SpoolName message{.kind = SpoolKind::message, .series = 9, .number = 1};
  const SpoolName dangling{.kind = SpoolKind::note, .series = 9, .number = 2};
  const fs::path own = scene.world.folder.path / "alba-spool";
  for (const fs::path& folder : {scene.up(alba), scene.down(alba), own / "up", own / "down"}) {
    for (const std::string& name : {request_1.text(), answer.text(), message.text()}) {
      fs::create_directories(folder / name / "inside");
    }
    fs::create_symlink("/nowhere", folder / dangling.text());
    scene.place(folder / ".request.partial", Bytes(10, 1));
    scene.place(folder / "README", Bytes(10, 1));
  }
  scene.start();
  scene.desk.post(alba, scene.go(alba, "go").wire());
  SpoolMover mover(scene.folder(alba), own);
  auto road = scene.site_at(own, alba);
  for (int i = 0; i < 3; ++i) {
    until_answered([&] { road->deliver(scene.ready(alba, std::to_string(i))); });
  }
  std::optional<Bytes> wire;
  until([&] { return (wire = road->fetch(milliseconds(0))).has_value(); });
  road->acknowledge(crypto::sha256(*wire));
  until([&] { return scene.num_queued(alba) == 0; });
  EXPECT_TRUE(fs::exists(scene.up(alba) / request_1.text() / "inside"));
  EXPECT_TRUE(fs::exists(own / "down" / message.text() / "inside"));
  EXPECT_TRUE(fs::is_symlink(scene.up(alba) / dangling.text()));
}

TEST(HostileSpool, AReplayedRequestGetsItsAnswerAgain) {
  SpoolScene scene;
  scene.start();
  const Bytes body = SpoolScene::record(Request::deliver, scene.ready(alba).wire());
  const Bytes wire = scene.seal(alba).seal(request_1, body);
  for (int i = 0; i < 3; ++i) {
    scene.place(scene.up(alba) / request_1.text(), wire);
    EXPECT_EQ(scene.answers(alba, request_1).at(0).code(), "done");
    // It is removed after its answer was put: the next copy must not come before.
    until([&] { return !fs::exists(scene.up(alba) / request_1.text()); });
  }
  // Of a site's later request it is not: nobody waits for that answer.
  const SpoolName later{.kind = SpoolKind::request, .series = 7, .number = 0x10000};
  scene.put_up(alba, later, body);
  scene.answers(alba, later);
  scene.place(scene.up(alba) / request_1.text(), wire);
  until([&] { return !fs::exists(scene.up(alba) / request_1.text()); });
  for (const std::string& name : names_in(scene.down(alba))) {
    EXPECT_FALSE(name.starts_with("answer-0000000000000007-0000ffff")) << name;
  }
}

TEST(HostileSpool, AReplayedAcknowledgementTakesNothingElse) {
  SpoolScene scene;
  const Envelope first = scene.go(alba, "first");
  const Envelope second = scene.go(alba, "second");
  scene.desk.post(alba, first.wire());
  scene.desk.post(alba, second.wire());
  scene.start();
  const SpoolName note{.kind = SpoolKind::note, .series = 7, .number = 1};
  const Bytes wire =
      scene.seal(alba).seal(note, SpoolScene::record(Request::acknowledge, first.digest().view()));
  for (int i = 0; i < 3; ++i) {
    scene.place(scene.up(alba) / note.text(), wire);
    until([&] { return !fs::exists(scene.up(alba) / note.text()); });
    scene.looked(alba);
    EXPECT_EQ(scene.num_queued(alba), 1U);
  }
}

TEST(HostileSpool, AReplayedMessageIsFetchedAndAcknowledgedAgain) {
  SpoolScene scene;
  auto road = scene.site(alba);
  const SpoolName name{.kind = SpoolKind::message, .series = 1, .number = 1};
  const Envelope message = scene.go(alba, "go");
  const Bytes wire = scene.hub_seal(alba).seal(name, message.wire());
  for (int i = 0; i < 3; ++i) {
    scene.place(scene.down(alba) / name.text(), wire);
    EXPECT_EQ(road->fetch(milliseconds(0)), copy(message.wire()));
    road->acknowledge(message.digest());
    EXPECT_FALSE(road->fetch(milliseconds(0)));
    // However often: one file says so.
    EXPECT_EQ(names_in(scene.up(alba)).size(), 1U);
  }
}

TEST(HostileSpool, AnAnswerOfLastWeekIsNoAnswerToday) {
  SpoolScene scene;
  scene.start();
  {
    auto road = scene.site(alba);
    EXPECT_EQ(until_answered([&] { return road->upload_position(exchange_3); }), 0U);
  }
  scene.stop();
  // The same question of the same border, then of the next one; the old answer is 99.
  for (int border = 0; border < 2; ++border) {
    auto road = scene.site(alba);
    EXPECT_EQ(code_of([&] { road->upload_position(exchange_3); }), "border.road_waits");
    SpoolName asked{};
    for (const std::string& text : names_in(scene.up(alba))) {
      const auto name = spool_name_from(text);
      if (name && name->kind == SpoolKind::request) asked = *name;
    }
    for (SpoolName old : {SpoolName{SpoolKind::answer, asked.series, asked.number - 1, 0},
                          SpoolName{SpoolKind::answer, asked.series - 1, asked.number, 0},
                          SpoolName{SpoolKind::answer, asked.series, asked.number, 1}}) {
      Bytes body{1};
      ByteWriter position;
      position.u64(99);
      append_record(body, {0, position.bytes()});
      scene.place(scene.down(alba) / old.text(), scene.hub_seal(alba).seal(old, body));
    }
    EXPECT_EQ(code_of([&] { road->upload_position(exchange_3); }), "border.road_waits");
  }
}

}  // namespace
}  // namespace concordat::border::testing
