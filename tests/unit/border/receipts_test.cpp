#include "concordat/border/receipts.hpp"
#include "concordat/border/evidence.hpp"

#include <functional>

#include "support/faulty_files.hpp"
#include "unit/border/fixture.hpp"

namespace concordat::border::testing {
namespace {

struct ReceiptScene {
  World world;
  FileSystem::Path folder = world.folder.path / "receipts";
  Bytes first = copy(world.seal(world.header(MessageType::ready), as_bytes("one")).wire());
  Bytes second = copy(world.seal(world.header(MessageType::ready), as_bytes("two")).wire());
  OpenedMessage opened(const Bytes& wire) { return world.open(wire); }
  ReceiptBook book() { return {posix_files(), folder}; }
};

TEST(Receipts, ARepetitionIsKnownAlsoAfterARestart) {
  ReceiptScene scene;
  OpenedMessage message = scene.opened(scene.first);
  {
    auto book = scene.book();
    EXPECT_FALSE(book.knows(message.header.exchange, message.digest));
    book.require_new(message);
    book.record(message);
    EXPECT_TRUE(book.knows(message.header.exchange, message.digest));
  }
  auto book = scene.book();
  EXPECT_TRUE(book.knows(message.header.exchange, message.digest));
  book.require_new(message);  // known, so not refused
}

TEST(Receipts, AnotherMessageUnderOneIdentityIsKeptAsEvidence) {
  ReceiptScene scene;
  auto book = scene.book();
  book.record(scene.opened(scene.first));
  OpenedMessage contradiction = scene.opened(scene.second);
  EXPECT_EQ(code_of([&] { book.require_new(contradiction); }), "border.equivocation");
  auto evidence = scene.book().evidence();
  ASSERT_EQ(evidence.size(), 1U);
  // Both statements, checked by somebody who has the roster and neither message nor key.
  Bytes kept = read_file(posix_files(), scene.folder / "evidence" / evidence[0]);
  Contradiction found = verify_evidence(kept, scene.world.peers);
  EXPECT_EQ(found.first, scene.opened(scene.first).header);
  EXPECT_EQ(found.second, contradiction.header);
  const Bytes first_statement = copy(ByteView(scene.first).first(188));
  EXPECT_TRUE(std::equal(first_statement.begin(), first_statement.end(), kept.begin() + 22))
      << "what was signed first is as gone as the message that it was in";
}

TEST(Receipts, EvidenceIsWholeAlsoWhenTheFirstMessageCameBeforeARestart) {
  ReceiptScene scene;
  {
    OpenedMessage first = scene.opened(scene.first);
    // As a journal replays it: without wire and body.
    scene.book().record({first.header, {}, first.digest, first.statement});
  }
  auto book = scene.book();
  EXPECT_EQ(code_of([&] { book.require_new(scene.opened(scene.second)); }), "border.equivocation");
  ASSERT_EQ(book.evidence().size(), 1U);
  EXPECT_NO_THROW(verify_evidence(
      read_file(posix_files(), scene.folder / "evidence" / book.evidence()[0]), scene.world.peers));
  OpenedMessage without = scene.opened(
      copy(scene.world.seal(scene.world.header(MessageType::cosign), as_bytes("x")).wire()));
  without.statement = {};
  EXPECT_THROW(book.record(without), Bug) << "a receipt that could prove nothing";
}

TEST(Evidence, WhatDoesNotContradictOrVerifyIsNone) {
  ReceiptScene scene;
  const Statement first = statement_of(scene.first);
  const Statement second = statement_of(scene.second);
  const PeerDirectory& peers = scene.world.peers;
  auto code = [&](const Bytes& bytes) { return code_of([&] { verify_evidence(bytes, peers); }); };
  const Bytes good = encode(Evidence{first, second});
  EXPECT_EQ(good.size(), 22U + 2 * 252U);
  EXPECT_EQ(code(good), "nothing");
  EXPECT_EQ(code(encode(Evidence{first, first})), "border.not_authentic");
  for (const Header& other :
       {scene.world.header(MessageType::cosign), scene.world.header(MessageType::ready, brio)}) {
    Bytes wire = copy(scene.world.seal(other, as_bytes("two")).wire());
    EXPECT_EQ(code(encode(Evidence{first, statement_of(wire)})), "border.not_authentic");
  }
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= 1U;
    EXPECT_NE(code(bad), "nothing") << "byte " << i;
  }
  for (std::size_t size : {std::size_t{0}, std::size_t{21}, good.size() - 1}) {
    EXPECT_EQ(code(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size))),
              "core.malformed");
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_EQ(code(longer), "core.malformed");
}

TEST(Receipts, OneContradictionIsEvidenceEnough) {
  ReceiptScene scene;
  auto book = scene.book();
  book.record(scene.opened(scene.first));
  for (int i = 0; i < 3; ++i) {
    Bytes other =
        copy(scene.world.seal(scene.world.header(MessageType::ready), as_bytes("more")).wire());
    EXPECT_EQ(code_of([&] { book.require_new(scene.opened(other)); }), "border.equivocation");
  }
  EXPECT_EQ(book.evidence().size(), 1U);
}

TEST(Receipts, EquivocationIsNoticedAfterClosingToo) {
  ReceiptScene scene;
  scene.book().record(scene.opened(scene.first));
  scene.book().close(scene.world.header(MessageType::ready).exchange);
  EXPECT_EQ(code_of([&] { scene.book().require_new(scene.opened(scene.second)); }),
            "border.equivocation");
}

TEST(Receipts, AClosedExchangeTakesNothingNewAlsoAfterARestart) {
  ReceiptScene scene;
  OpenedMessage known = scene.opened(scene.first);
  scene.book().record(known);
  scene.book().close(known.header.exchange);
  scene.book().close(known.header.exchange);
  auto book = scene.book();
  EXPECT_TRUE(book.is_closed(known.header.exchange));
  EXPECT_TRUE(book.knows(known.header.exchange, known.digest)) << "a known digest gets its ack";
  Bytes late = copy(scene.world.seal(scene.world.header(MessageType::cosign), {}).wire());
  EXPECT_EQ(code_of([&] { book.require_new(scene.opened(late)); }), "border.exchange_closed");
}

TEST(Receipts, IdentitiesAreSenderExchangeTypeAndIndex) {
  ReceiptScene scene;
  auto book = scene.book();
  book.record(scene.opened(scene.first));
  Header header = scene.world.header(MessageType::ready);
  header.index = 1;
  for (const Header& other : {header, scene.world.header(MessageType::cosign),
                              scene.world.header(MessageType::ready, brio)}) {
    Bytes wire = copy(scene.world.seal(other, as_bytes("x")).wire());
    EXPECT_EQ(code_of([&] { book.require_new(scene.opened(wire)); }), "nothing");
  }
}

// SIGKILL between the append and its sync, a restart that acknowledges, then a power cut.
TEST(Receipts, WhatIsAcknowledgedSurvivesAPowerCut) {
  ReceiptScene scene;
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
  ReceiptScene scene;
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
  ReceiptScene scene;
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
