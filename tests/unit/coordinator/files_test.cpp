#include <gtest/gtest.h>

#include "concordat/border/loopback.hpp"
#include "concordat/coordinator/errors.hpp"
#include "concordat/crypto/errors.hpp"
#include "concordat/crypto/merkle.hpp"
#include "coordinator/exchange_log.hpp"
#include "coordinator/outbox.hpp"
#include "coordinator/reached.hpp"
#include "coordinator/status.hpp"
#include "coordinator/upload.hpp"
#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"
#include "unit/coordinator/fake_site.hpp"

namespace concordat::coordinator::testing {
namespace {

const std::vector<SiteId> everybody{SiteId(0), SiteId(1), SiteId(2)};

TEST(ExchangeLog, RecordsComeBackAsTheyWere) {
  BeginRecord begin{
      {Round{3}, {}, {}}, Digest{{7}}, {Digest{{1}}, {{4, Digest{{2}}}, {5, Digest{{3}}}}}};
  auto again = std::get<BeginRecord>(decode_record(encode(begin), "test"));
  EXPECT_EQ(again.exchange, begin.exchange);
  EXPECT_EQ(again.agreement, begin.agreement);
  EXPECT_EQ(again.chain, begin.chain);
  OwnRecord own{federation::UploadStored{SiteId(2)}};
  EXPECT_EQ(encode(decode_record(encode(own), "test")), encode(own));
  SealedRecord sealed{SiteId(1), border::MessageType::go, {1, 2, 3}};
  EXPECT_EQ(std::get<SealedRecord>(decode_record(encode(sealed), "test")).wire, sealed.wire);
}

TEST(ExchangeLog, AnIncomingRecordKeepsWhatItsSenderSigned) {
  IncomingRecord incoming{Digest{{5}}, 300, {{}, {1, 2, 3}}, {}};
  incoming.message.header.type = border::MessageType::cosign;
  incoming.statement.fill(7);
  const auto again = std::get<IncomingRecord>(decode_record(encode(incoming), "test"));
  EXPECT_EQ(again.statement, incoming.statement);
  EXPECT_EQ(encode(again), encode(incoming));
}

TEST(CoordinatorFolder, OneThatOthersMayWriteInIsRefused) {
  testing_support::TemporaryFolder folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0775));
  EXPECT_ERROR_SAYS(CoordinatorFolder(posix_files(), folder.path()),
                    crypto::errors::open_permissions, "chmod go-w");
  EXPECT_TRUE(posix_files().list(folder.path()).empty()) << "nothing is made in it";
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  EXPECT_NO_THROW(CoordinatorFolder(posix_files(), folder.path()));
}

TEST(ExchangeLog, AForeignRecordIsRefused) {
  EXPECT_ERROR(decode_record(Bytes{9, 1, 2}, "test"), errors::bad_journal);
  Bytes sealed = encode(SealedRecord{SiteId(1), border::MessageType::go, {1, 2, 3}});
  sealed.push_back(0);
  EXPECT_ERROR(decode_record(sealed, "test"), concordat::errors::malformed);
}

// An upload of a few blocks, announced by site 0.
struct FilesScene {
  testing_support::TemporaryFolder temporary;
  Federation federation;
  CoordinatorFolder folder{posix_files(), temporary.path() / "hub"};
  federation::ExchangeTerms terms =
      federation::exchange_terms(federation.roster, federation.agreement, Round{0}, {});
  border::FrameTable table = terms.table(Digest{});
  std::vector<Digest> leaves;
  std::optional<border::Announcement> up;
  std::optional<border::OpenedMessage> header;
  crypto::SiteKeys site = federation.keys(SiteId(0));
  crypto::SiteKeys hub = federation.keys(coordinator_id);

  FilesScene() {
    for (std::uint64_t at = 0; at < table.num_leaves(); ++at) {
      leaves.push_back(
          border::block_leaf(table.place(at), masked_block(terms, everybody, SiteId(0), at)));
    }
    table.root = crypto::merkle_root(leaves);
    border::Header about{.federation = federation.peers.federation(),
                         .exchange = terms.exchange,
                         .manifest = Digest{{9}},
                         .sender = SiteId(0),
                         .recipient = coordinator_id,
                         .type = border::MessageType::header,
                         .index = 0};
    ledger::Ledger ledger = ledger::Ledger::open(posix_files(), temporary.path() / "ledger",
                                                 "test/ledger", site.log, system_clock());
    auto written = ledger.write(permitted(about, 1U << 30U));
    border::Identity self{SiteId(0), site.signing, site.sealing};
    up.emplace(border::seal_announcement(
        std::move(written), about, {table, border::FrameKey::generate(crypto::system_random()), {}},
        self, federation.peers, crypto::system_random()));
    border::Identity coordinator{coordinator_id, hub.signing, hub.sealing};
    header.emplace(border::open_message(up->message.wire(), coordinator, federation.peers));
    posix_files().make_directories(folder.exchange(terms.exchange));
  }
  Upload open() {
    return {folder, terms.exchange, SiteId(0), border::FrameOpener(*header, federation.peers)};
  }
  Bytes frame(std::uint64_t at) {
    border::Envelope e =
        up->frames.seal(table.place(at), masked_block(terms, everybody, SiteId(0), at),
                        crypto::inclusion_path(leaves, at));
    return Bytes(e.wire().begin(), e.wire().end());
  }
};

TEST(UploadFile, TakesFramesInOrderAndOnce) {
  FilesScene scene;
  Upload upload = scene.open();
  EXPECT_ERROR(upload.accept(scene.frame(1)), errors::out_of_order);
  for (std::uint64_t at = 0; at < scene.table.num_leaves(); ++at) {
    upload.accept(scene.frame(at));
    upload.accept(scene.frame(at / 2));
  }
  EXPECT_EQ(upload.durable(), 0U);
  EXPECT_EQ(upload.flush(), scene.table.num_leaves());
  EXPECT_TRUE(upload.complete());
  for (std::uint64_t at = 0; at < scene.table.num_leaves(); ++at) {
    Bytes plain(scene.table.block_bytes(scene.table.place(at)));
    upload.read_block(at, plain);
    EXPECT_EQ(plain, masked_block(scene.terms, everybody, SiteId(0), at));
  }
}

TEST(UploadFile, HoldsNoPlaintext) {
  FilesScene scene;
  Upload upload = scene.open();
  upload.accept(scene.frame(0));
  upload.flush();
  Bytes file = read_file(posix_files(), scene.folder.upload(scene.terms.exchange, SiteId(0)));
  Bytes masked = masked_block(scene.terms, everybody, SiteId(0), 0);
  EXPECT_EQ(std::search(file.begin(), file.end(), masked.begin(), masked.begin() + 16), file.end());
}

TEST(UploadFile, GoesOnAfterEveryTornLength) {
  FilesScene scene;
  {
    Upload upload = scene.open();
    for (std::uint64_t at = 0; at < scene.table.num_leaves(); ++at) upload.accept(scene.frame(at));
    upload.flush();
  }
  FileSystem::Path path = scene.folder.upload(scene.terms.exchange, SiteId(0));
  Bytes whole = read_file(posix_files(), path);
  for (std::size_t keep = 0; keep <= whole.size(); keep += 97) {
    posix_files().open(path, OpenMode::truncate)->write(ByteView(whole).first(keep));
    Upload upload = scene.open();
    EXPECT_LE(upload.durable(), scene.table.num_leaves());
    for (std::uint64_t at = upload.durable(); at < scene.table.num_leaves(); ++at) {
      upload.accept(scene.frame(at));
    }
    upload.flush();
    EXPECT_EQ(read_file(posix_files(), path), whole) << keep;
  }
}

// A power cut may leave the length without the bytes.
TEST(UploadFile, UnsyncedNoiseIsCut) {
  FilesScene scene;
  {
    Upload upload = scene.open();
    upload.accept(scene.frame(0));
    upload.flush();
  }
  FileSystem::Path path = scene.folder.upload(scene.terms.exchange, SiteId(0));
  posix_files().open(path, OpenMode::append)->write(Bytes(5000));
  Upload upload = scene.open();
  EXPECT_EQ(upload.durable(), 1U);
}

TEST(UploadFile, ADamagedBlockIsNamed) {
  FilesScene scene;
  Upload upload = scene.open();
  upload.accept(scene.frame(0));
  upload.flush();
  testing_support::flip_bit(scene.folder.upload(scene.terms.exchange, SiteId(0)), 100);
  Bytes plain(scene.table.block_bytes(scene.table.place(0)));
  EXPECT_ERROR_SAYS(upload.read_block(0, plain), errors::upload_damaged, "update block 0");
}

TEST(Reached, IsKeptAndNeverLowered) {
  testing_support::TemporaryFolder temporary;
  std::filesystem::permissions(temporary.path(), std::filesystem::perms(0700));
  const CoordinatorFolder folder(posix_files(), temporary.path());
  Reached first(folder, 3);
  EXPECT_FALSE(first.is_known());
  EXPECT_TRUE(first.raise(SiteId(1), Round{7}));
  EXPECT_FALSE(first.raise(SiteId(1), Round{6}));
  EXPECT_TRUE(first.raise(SiteId(2), Round{4294967295}));
  EXPECT_EQ(first.oldest(), Round{0});
  first.save();
  const Reached again(folder, 3);
  EXPECT_TRUE(again.is_known());
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(again.of(SiteId(i)), first.of(SiteId(i)));
}

TEST(Reached, AnythingElseInItsFileIsNamed) {
  testing_support::TemporaryFolder temporary;
  std::filesystem::permissions(temporary.path(), std::filesystem::perms(0700));
  const CoordinatorFolder folder(posix_files(), temporary.path());
  const std::string title = "concordat reached v1\n";
  for (const std::string& text :
       {std::string(), std::string("x\n1\n2\n3\n"), title, title + "1\n2\n", title + "1\n2\n3",
        title + "1\n2\n3\n4\n", title + "1\n-2\n3\n", title + "1\n2\n4294967296\n"}) {
    write_atomically(posix_files(), folder.reached(), as_bytes(text));
    EXPECT_ERROR_SAYS(Reached(folder, 3), errors::bad_journal, "made again from the journals");
  }
}

TEST(Outbox, ASiteThatIsFarBehindHearsOfEveryRound) {
  Outbox outbox;
  const SiteId to(1);
  const auto digest = [](std::uint8_t i) { return Digest{{i}}; };
  for (std::uint8_t i = 0; i < 6; ++i) {
    outbox.post(to, {digest(static_cast<std::uint8_t>(2 * i)),
                     {Round{i}, {}, {}},
                     border::MessageType::aggregate,
                     {},
                     0});
    outbox.post(to, {digest(static_cast<std::uint8_t>(2 * i + 1)),
                     {Round{i}, {}, {}},
                     border::MessageType::closed,
                     {},
                     0});
  }
  EXPECT_EQ(outbox.size(to), 12U);
  EXPECT_EQ(outbox.acknowledged(to, digest(0)), std::nullopt) << "no closing record yet";
  EXPECT_EQ(outbox.acknowledged(to, digest(2)), Round{0});
  EXPECT_EQ(outbox.acknowledged(to, digest(9)), Round{4}) << "and all before it";
  EXPECT_EQ(outbox.front(to)->exchange.round, Round{5});
  EXPECT_EQ(outbox.acknowledged(to, digest(9)), std::nullopt) << "known before";
}

TEST(Status, SaysUntilWhenAMissingSiteIsWaitedFor) {
  DeskStatus status;
  status.num_rounds = 12;
  status.phase = "gathering";
  status.waiting_for = {"alba (site 0)"};
  status.begins_unix = 1'800'000'000;
  EXPECT_EQ(line_of(status),
            "round 0 of 12: gathering, waiting for alba (site 0), until 2027-01-15 08:00:00 UTC at "
            "most");
}

TEST(Status, SaysWhoIsWaitedFor) {
  DeskStatus status;
  status.round = Round{3};
  status.num_rounds = 12;
  status.phase = "uploading";
  status.waiting_for = {"alba (site 0)", "brio (site 1)"};
  EXPECT_EQ(line_of(status), "round 3 of 12: uploading, waiting for alba (site 0), brio (site 1)");
  status.round = Round{12};
  status.phase = "gathering";
  EXPECT_EQ(line_of(status).find("after the last round"), 0U);
}

}  // namespace
}  // namespace concordat::coordinator::testing
