#include "concordat/border/receipts.hpp"

#include <functional>

#include "support/faulty_files.hpp"
#include "unit/border/fixture.hpp"

namespace concordat::border::testing {
namespace {

struct Scene {
  World world;
  FileSystem::Path folder = world.folder.path / "receipts";
  Bytes first = copy(world.seal(world.header(MessageType::ready), as_bytes("one")).wire());
  Bytes second = copy(world.seal(world.header(MessageType::ready), as_bytes("two")).wire());
  OpenedMessage opened(const Bytes& wire) { return world.open(wire); }
  ReceiptBook book() { return {posix_files(), folder}; }
};

TEST(Receipts, ARepetitionIsKnownAlsoAfterARestart) {
  Scene scene;
  OpenedMessage message = scene.opened(scene.first);
  {
    auto book = scene.book();
    EXPECT_FALSE(book.knows(message.header.exchange, message.digest));
    book.require_new(message, scene.first);
    book.record(message);
    EXPECT_TRUE(book.knows(message.header.exchange, message.digest));
  }
  auto book = scene.book();
  EXPECT_TRUE(book.knows(message.header.exchange, message.digest));
  book.require_new(message, scene.first);  // known, so not refused
}

TEST(Receipts, AnotherMessageUnderOneIdentityIsKeptAsEvidence) {
  Scene scene;
  auto book = scene.book();
  book.record(scene.opened(scene.first));
  OpenedMessage contradiction = scene.opened(scene.second);
  EXPECT_EQ(code_of([&] { book.require_new(contradiction, scene.second); }), "border.equivocation");
  auto evidence = scene.book().evidence();
  ASSERT_EQ(evidence.size(), 1U);
  Bytes kept = read_file(posix_files(), scene.folder / "evidence" / evidence[0]);
  EXPECT_EQ(verify_message(kept, scene.world.peers), contradiction.header) << "proof for others";
}

TEST(Receipts, OneContradictionIsEvidenceEnough) {
  Scene scene;
  auto book = scene.book();
  book.record(scene.opened(scene.first));
  for (int i = 0; i < 3; ++i) {
    Bytes other =
        copy(scene.world.seal(scene.world.header(MessageType::ready), as_bytes("more")).wire());
    EXPECT_EQ(code_of([&] { book.require_new(scene.opened(other), other); }),
              "border.equivocation");
  }
  EXPECT_EQ(book.evidence().size(), 1U);
}

TEST(Receipts, EquivocationIsNoticedAfterClosingToo) {
  Scene scene;
  scene.book().record(scene.opened(scene.first));
  scene.book().close(scene.world.header(MessageType::ready).exchange);
  EXPECT_EQ(code_of([&] { scene.book().require_new(scene.opened(scene.second), scene.second); }),
            "border.equivocation");
}

TEST(Receipts, AClosedExchangeTakesNothingNewAlsoAfterARestart) {
  Scene scene;
  OpenedMessage known = scene.opened(scene.first);
  scene.book().record(known);
  scene.book().close(known.header.exchange);
  scene.book().close(known.header.exchange);
  auto book = scene.book();
  EXPECT_TRUE(book.is_closed(known.header.exchange));
  EXPECT_TRUE(book.knows(known.header.exchange, known.digest)) << "a known digest gets its ack";
  Bytes late = copy(scene.world.seal(scene.world.header(MessageType::cosign), {}).wire());
  EXPECT_EQ(code_of([&] { book.require_new(scene.opened(late), late); }), "border.exchange_closed");
}

TEST(Receipts, IdentitiesAreSenderExchangeTypeAndIndex) {
  Scene scene;
  auto book = scene.book();
  book.record(scene.opened(scene.first));
  Header header = scene.world.header(MessageType::ready);
  header.index = 1;
  for (const Header& other : {header, scene.world.header(MessageType::cosign),
                              scene.world.header(MessageType::ready, brio)}) {
    Bytes wire = copy(scene.world.seal(other, as_bytes("x")).wire());
    EXPECT_EQ(code_of([&] { book.require_new(scene.opened(wire), wire); }), "nothing");
  }
}

// SIGKILL between the append and its sync, a restart that acknowledges, then a power cut.
TEST(Receipts, WhatIsAcknowledgedSurvivesAPowerCut) {
  Scene scene;
  OpenedMessage message = scene.opened(scene.first);
  const ExchangeId exchange = message.header.exchange;
  using Ask = std::function<void(ReceiptBook&)>;
  const Ask asks[] = {[&](ReceiptBook& book) { EXPECT_TRUE(book.knows(exchange, message.digest)); },
                      [&](ReceiptBook& book) { book.record(message); }};
  for (const Ask& ask : asks) {
    posix_files().remove_all(scene.folder);
    testing_support::FaultyFiles fs;
    {
      ReceiptBook book(fs, scene.folder);
      fs.remember_unsynced = true;
      fs.fail_at(3);  // create, write, sync
      EXPECT_EQ(code_of([&] { book.record(message); }), "core.disk_full");
      fs.heal();
    }
    ReceiptBook restarted(fs, scene.folder);
    ask(restarted);
    fs.power_cut();
    EXPECT_TRUE(scene.book().knows(exchange, message.digest)) << "acknowledged and forgotten";
  }
}

TEST(Receipts, ATornRecordIsDroppedAndWrittenAgain) {
  Scene scene;
  OpenedMessage message = scene.opened(scene.first);
  scene.book().record(message);
  FileSystem::Path path = scene.folder / (message.header.exchange.text() + ".receipts");
  Bytes whole = read_file(posix_files(), path);
  for (std::size_t keep = 0; keep < whole.size(); ++keep) {
    posix_files().open(path, OpenMode::read_write)->resize(keep);
    auto book = scene.book();
    EXPECT_FALSE(book.knows(message.header.exchange, message.digest));
    book.record(message);
    EXPECT_EQ(read_file(posix_files(), path), whole);
  }
}

TEST(Receipts, AnAcknowledgedRecordThatIsDamagedIsAnError) {
  Scene scene;
  OpenedMessage message = scene.opened(scene.first);
  scene.book().record(message);
  scene.book().close(message.header.exchange);
  FileSystem::Path path = scene.folder / (message.header.exchange.text() + ".receipts");
  posix_files().open(path, OpenMode::read_write)->write_at(20, Bytes{0xee});
  EXPECT_EQ(code_of([&] { scene.book().knows(message.header.exchange, message.digest); }),
            "border.receipts_damaged");
}

}  // namespace
}  // namespace concordat::border::testing
