// Bytes that come over the road: messages, frames, what a peer says about its refusals.
#include <algorithm>

#include "border/frame_wire.hpp"
#include "border/message_wire.hpp"
#include "border/road_protocol.hpp"
#include "border/spool_files.hpp"
#include "concordat/border/evidence.hpp"
#include "concordat/border/receipts.hpp"
#include "concordat/crypto/certificate.hpp"
#include "concordat/crypto/hash.hpp"
#include "support/hostile.hpp"
#include "support/temporary_folder.hpp"
#include "unit/border/fixture.hpp"

namespace concordat::border::testing {
namespace {

using testing_support::expect_typed;

struct Seeds {
  World world;
  Upload upload;
  Announcement announced = upload.announce(world, world.header(MessageType::header));
  std::vector<Bytes> messages() {
    return {copy(announced.message.wire()),
            copy(world.seal(world.header(MessageType::ready), as_bytes("a body")).wire()),
            copy(world.seal(world.header(MessageType::cosign, brio), Bytes(300, 4)).wire())};
  }
  std::vector<Bytes> frames() {
    return {upload.frame(announced.frames, 0), upload.frame(announced.frames, 3),
            upload.frame(announced.frames, 4)};
  }
};

TEST(HostileBytes, MessagesOnTheirWire) {
  Seeds seeds;
  expect_typed(seeds.messages(), [](ByteView bytes) { parse_message(bytes); });
  expect_typed(seeds.messages(), [](ByteView bytes) {
    read_claim(bytes);
    statement_of(bytes);
  });
}

// Every variant but the seeds is refused: nothing of a message is outside its signature.
TEST(HostileBytes, MessagesToBeOpened) {
  Seeds seeds;
  const auto honest = seeds.messages();
  const auto count = expect_typed(honest,
                                  [&](ByteView bytes) {
                                    const OpenedMessage message = seeds.world.open(bytes);
                                    EXPECT_TRUE(std::ranges::any_of(honest, [&](const Bytes& seed) {
                                      return std::ranges::equal(seed, bytes);
                                    }));
                                    EXPECT_EQ(message.digest, crypto::sha256(bytes));
                                  },
                                  {.cases = 2000, .bytes_per_byte = 256});
  EXPECT_LT(count.values, 100);
}

TEST(HostileBytes, BlockFrames) {
  Seeds seeds;
  expect_typed(seeds.frames(), [](ByteView bytes) { parse_frame(bytes); });
  expect_typed(seeds.frames(), [](ByteView bytes) { read_frame_claim(bytes); });
  FrameOpener opener(seeds.world.open(seeds.announced.message.wire()), seeds.world.peers);
  const auto honest = seeds.frames();
  expect_typed(honest,
               [&](ByteView bytes) {
                 opener.open(bytes);
                 EXPECT_TRUE(std::ranges::any_of(
                     honest, [&](const Bytes& seed) { return std::ranges::equal(seed, bytes); }));
               },
               {.cases = 2000, .bytes_per_byte = 256});
}

TEST(HostileBytes, HeadersOfFrames) {
  Upload upload;
  FrameHeader with_rest = upload.header();
  with_rest.rest = Bytes(100, 3);
  expect_typed({copy(encode(upload.header()).view()), copy(encode(with_rest).view())},
               [](ByteView bytes) {
                 const FrameHeader header = decode_frame_header(bytes);
                 // What decodes is a table that can be walked.
                 const std::uint64_t leaves = header.table.num_leaves();
                 if (leaves == 0) return;
                 EXPECT_EQ(header.table.position(header.table.place(leaves - 1)), leaves - 1);
                 EXPECT_GT(header.table.all_frame_bytes(), 0U);
               });
}

TEST(HostileBytes, WhatARoadSays) {
  const Bytes refusal = encode_refusal(
      Error(errors::equivocation, {.what = "a second ready", .where = "exchange 3.0.0"}));
  expect_typed({refusal}, [](ByteView bytes) { throw_refusal(bytes, "hub:1"); },
               {.seeds_decode = false});
  ByteWriter exchange;
  write_exchange(exchange, {Round{3}, {}, {}});
  expect_typed({exchange.bytes()}, [](ByteView bytes) {
    ByteReader in(bytes, "exchange");
    read_exchange(in);
    in.finish();
  });
}

// No variant but the seed opens: nothing of a file is outside its signature or the signed digest.
TEST(HostileBytes, FilesOfASpool) {
  World world;
  const Identity site = world.identity(alba);
  const Identity hub = world.identity(coordinator_id);
  const SpoolSeal seal(site, world.parties.at(alba).tls, world.peers, coordinator_id);
  const SpoolSeal at_hub(hub, world.parties.at(coordinator_id).tls, world.peers, alba);
  const SpoolName name{.kind = SpoolKind::request, .series = 7, .number = 1};
  Bytes body;
  append_record(body, {static_cast<std::uint8_t>(Request::deliver), Bytes(300, 3)});
  append_record(body, {static_cast<std::uint8_t>(Request::acknowledge), Bytes(32, 3)});
  const Bytes wire = seal.seal(name, body);
  expect_typed({wire},
               [&](ByteView bytes) {
                 const bool opened = at_hub.open(name, bytes).has_value();
                 EXPECT_TRUE(!opened || std::ranges::equal(wire, bytes));
               },
               {.cases = 2000});
  expect_typed({body}, [](ByteView bytes) {
    ByteReader in(bytes, "body");
    while (in.left() > 0) take_record(in);
  });
}

TEST(HostileBytes, CertificatesOfAPeer) {
  World world;
  std::vector<Bytes> seeds;
  for (const auto& [id, party] : world.parties) {
    seeds.push_back(crypto::make_tls_identity(party.tls, "alba").certificate_der);
  }
  expect_typed(seeds, [](ByteView bytes) { crypto::certificate_key(bytes); }, {.cases = 2000});
}

TEST(HostileBytes, EvidenceAndReceipts) {
  World world;
  const auto statement = [&](std::string_view body) {
    return statement_of(world.seal(world.header(MessageType::ready), as_bytes(body)).wire());
  };
  const Bytes evidence = encode(Evidence{statement("one"), statement("two")});
  expect_typed({evidence}, [&](ByteView bytes) { verify_evidence(bytes, world.peers); },
               {.cases = 1500});

  testing_support::TemporaryFolder folder;
  const OpenedMessage message =
      world.open(world.seal(world.header(MessageType::ready), as_bytes("one")).wire());
  ReceiptBook(posix_files(), folder.path()).record(message);
  std::filesystem::path file;
  for (const auto& one : std::filesystem::recursive_directory_iterator(folder.path())) {
    if (one.is_regular_file()) file = one.path();
  }
  ASSERT_FALSE(file.empty());
  const Bytes seed = read_file(posix_files(), file);
  expect_typed(
      {seed},
      [&](ByteView bytes) {
        testing_support::overwrite(file, bytes);
        ReceiptBook(posix_files(), folder.path()).knows(message.header.exchange, message.digest);
      },
      {.cases = 1500});
}

}  // namespace
}  // namespace concordat::border::testing
