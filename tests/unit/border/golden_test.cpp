// The worked examples of docs/formats/envelope.md and block-frame.md: these bytes are the format.
#include "border/frame_wire.hpp"
#include "border/spool_files.hpp"
#include "concordat/crypto/hash.hpp"
#include "support/fixed_random.hpp"
#include "unit/border/fixture.hpp"

namespace concordat::border::testing {
namespace {

/// Site 0 with seeds 01 and 02, the coordinator with 03 and 04; federation 07..., manifest 09...
struct Example {
  crypto::SigningKey site_signing = crypto::SigningKey::from_seed(Bytes(32, 1));
  crypto::OpeningKey site_opening = crypto::OpeningKey::from_private(Bytes(32, 2));
  crypto::SigningKey hub_signing = crypto::SigningKey::from_seed(Bytes(32, 3));
  crypto::OpeningKey hub_opening = crypto::OpeningKey::from_private(Bytes(32, 4));
  PeerDirectory peers{World::digest_of(7)};
  Identity site{alba, site_signing, site_opening};
  Header header{.federation = World::digest_of(7),
                .exchange = {Round{3}, {}, {}},
                .manifest = World::digest_of(9),
                .sender = alba,
                .recipient = coordinator_id,
                .type = MessageType::cosign,
                .index = 0};
  World world;  // for its ledger
  testing_support::FixedRandom random{"envelope"};

  Example() {
    peers.add(alba, {"alba", site_signing.verify_key(), site_opening.seal_key(),
                     crypto::SigningKey::from_seed(Bytes(32, 11)).verify_key()});
    peers.add(coordinator_id, {"hub", hub_signing.verify_key(), hub_opening.seal_key(),
                               crypto::SigningKey::from_seed(Bytes(32, 12)).verify_key()});
  }
};

TEST(Golden, AMessage) {
  Example example;
  Envelope envelope =
      seal_message(example.world.written(example.world.decision(example.header)), example.header,
                   as_bytes("hello"), example.site, example.peers, example.random);
  EXPECT_EQ(to_hex(envelope.wire()),
            "4343444d01000300"                                                  // magic, type 3
            "0707070707070707070707070707070707070707070707070707070707070707"  // federation
            "030000000000000000000000"                                          // exchange 3.0.0
            "0909090909090909090909090909090909090909090909090909090909090909"  // manifest
            "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"  // sender
            "ac01b2209e86354fb853237b5de0f4fab13c7fcbf433a61c019369617fecf10b"  // recipient
            "00000000"                                                          // index
            "ed01ee6164379fc20983780e482e3870ed460c7355cc4caa21fe3e2349771a06"  // SHA-256 of sealed
            "35000000"                                                          // 53 bytes
            "11235a134e76dc2e8fda7b107b48facff172b0525e611e6f09d540aaac032d4b"  // HPKE enc
            "7a0dc1e21249c224af631db7acb2c5b0aae5d1e1c2"                        // text and tag
            "5269542afc7c97d9a95619193c8a3b3b9fbfaa6d05cc56c4025a0d3b95de3645"  // signature
            "0b8f5c564c39412ce61472130f755f4aba80c8725461d8539ac2b1242b986608");
}

TEST(Golden, AFrame) {
  Example example;
  FrameTable table;
  table.vectors[0] = VectorShape::of(3, 2, 2);
  table.vectors[1] = VectorShape::of(1, 1, 4);
  std::vector<Bytes> blocks{{1, 0, 2, 0}, {3, 0}, {42, 0, 0, 0}};
  std::vector<Digest> leaves;
  for (std::uint64_t at = 0; at < 3; ++at) {
    leaves.push_back(block_leaf(table.place(at), blocks[at]));
  }
  table.root = crypto::merkle_root(leaves);
  Header header = example.header;
  header.type = MessageType::header;
  FrameHeader announced{table, FrameKey::from(Bytes(32, 6)), {}};
  Announcement up = seal_announcement(example.world.written(example.world.decision(header)), header,
                                      announced, example.site, example.peers, example.random);
  Envelope frame =
      up.frames.seal({BlockVector::update, 1}, blocks[1], crypto::inclusion_path(leaves, 1));
  EXPECT_EQ(to_hex(encode(announced).view()),
            "02000000000000000400000002000000"  // update: 2 blocks of 4, the last of 2 bytes
            "01000000000000000400000004000000"  // weight: 1 block of 4 bytes
            "00000000000000000000000000000000"  // tag: none
            "3a69a1e738fd96e25b4829998bbf2f4f830db93e8be2d0e6f61587a41747afe3"  // root
            "0606060606060606060606060606060606060606060606060606060606060606"  // key
            "00000000");                                                        // no rest
  EXPECT_EQ(
      to_hex(frame.wire()),
      "4343444601060002"                                                  // after 6, update
      "030000000000000000000000"                                          // exchange 3.0.0
      "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"  // sender
      "0100000000000000"                                                  // index 1
      "12000000"                                                          // 18 bytes
      "3a8b79352b400310d321296770a43bdc22536d692524b7c1d57d21bcdae95eef"  // leaf of block 0
      "ae6a33cf590d0d9cbfa59a61aab13bf907daf0b1dcc2bd293788445dba00348d"  // leaf of the weight
      "6cae55dbcdf6ddf25dc0f52b44d84da972b3");                            // text and tag
}

TEST(Golden, AFileOfASpool) {
  Example example;
  const auto site_tls = crypto::SigningKey::from_seed(Bytes(32, 11));
  const SpoolSeal seal(example.site, site_tls, example.peers, coordinator_id);
  const SpoolName name{.kind = SpoolKind::request, .series = 0x0102'0304'0506'0708, .number = 9};
  Bytes body;
  ByteWriter exchange;
  write_exchange(exchange, example.header.exchange);
  append_record(body, {static_cast<std::uint8_t>(Request::upload_position), exchange.bytes()});
  EXPECT_EQ(name.text(), "request-0102030405060708-00000009.spool");
  EXPECT_EQ(to_hex(body), "040c000000030000000000000000000000");
  EXPECT_EQ(
      to_hex(seal.seal(name, body, example.random)),
      "636f6e636f726461742d73706f6f6c2d310a"                              // "concordat-spool-1\n"
      "0707070707070707070707070707070707070707070707070707070707070707"  // federation
      "00000000"                                                          // from site 0
      "ffffffff"                                                          // to the coordinator
      "27000000"                                                          // 39 bytes
      "726571756573742d303130323033303430353036303730382d30303030303030392e73706f6f6c"  // the name
      "4100000000000000"                                                  // 65 bytes are sealed
      "f62977828e891a027ce3a211ee34a62bc1cb5bed5cd1f5b010e4d8dcccc9e9e5"  // their SHA-256
      "47b47312592d3b8425b87f6c1c0651f2d84229d1c1f7689b860d4898d596d9e2"  // signature
      "1436cef006ed832574d555e577fe9651a8acdfde19ba2803f1e153e33344f600"
      "11235a134e76dc2e8fda7b107b48facff172b0525e611e6f09d540aaac032d4b"      // HPKE enc
      "5d3242e004d69215568a66f54d61d5cfb5e7b5f00b6e6088a23e9e410f351a6659");  // text and tag
}

}  // namespace
}  // namespace concordat::border::testing
