// Message bodies: one encoding each, every bound held, every truncation refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "support/expect_error.hpp"
#include "unit/federation/world.hpp"

namespace concordat::federation::test {
namespace {

template <typename Body>
void expect_strict(const Body& body, Body (*decode)(ByteView)) {
  Bytes bytes = encode(body);
  EXPECT_EQ(decode(bytes), body);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(error_of([&] { decode(ByteView(bytes).first(size)); }).code(),
              concordat::errors::malformed)
        << size;
  }
  bytes.push_back(0);
  EXPECT_EQ(error_of([&] { decode(bytes); }).code(), concordat::errors::malformed);
}

std::vector<SiteSignature> two_signatures() {
  std::vector<SiteSignature> signatures(2);
  signatures[0].site = SiteId{0};
  signatures[0].signature.fill(1);
  signatures[1].site = SiteId{2};
  signatures[1].signature.fill(2);
  return signatures;
}

TEST(Messages, EveryBodyHasOneEncoding) {
  World world(3, 1, false);
  ReadyBody ready = world.ready_of(1);
  ready.consistency = {digest_of("a"), digest_of("b")};
  expect_strict(ready, decode_ready);
  CosignBody cosign;
  cosign.signature.fill(9);
  expect_strict(cosign, decode_cosign);
  expect_strict(GoBody{two_signatures()}, decode_go);
  expect_strict(TableBody{world.sum(), {}}, decode_table);
  expect_strict(SurvivorsBody{{{SiteId{0}, digest_of("a")}, {SiteId{1}, digest_of("b")}}},
                decode_survivors);
  expect_strict(AgreeBody{cosign.signature}, decode_agree);
  expect_strict(ReceivedBody{digest_of("a"), 7, cosign.signature}, decode_received);
  expect_strict(ClosedBody{digest_of("a"), 7, digest_of("b"), two_signatures()}, decode_closed);
}

TEST(Messages, ListsAreAscendingAndBounded) {
  GoBody go{two_signatures()};
  std::swap(go.cosignatures[0], go.cosignatures[1]);
  EXPECT_ERROR(decode_go(encode(go)), concordat::errors::malformed);
  go.cosignatures[1] = go.cosignatures[0];
  EXPECT_ERROR(decode_go(encode(go)), concordat::errors::malformed);
  SurvivorsBody survivors{{{SiteId{1}, {}}, {SiteId{0}, {}}}};
  EXPECT_ERROR(decode_survivors(encode(survivors)), concordat::errors::malformed);
  ReadyBody ready;
  ready.consistency.resize(65);
  EXPECT_ERROR(decode_ready(encode(ready)), concordat::errors::malformed);
  ByteWriter many;
  many.u32(0xffff'ffffU);
  EXPECT_ERROR(decode_survivors(many.bytes()), concordat::errors::malformed);
}

TEST(Messages, WhatBelongsToSharesIsRefused) {
  CosignBody cosign;
  cosign.self_seed_hash = digest_of("x");
  EXPECT_ERROR(decode_cosign(encode(cosign)), concordat::errors::malformed);
  Bytes with_share = encode(CosignBody{});
  with_share[with_share.size() - 4] = 1;
  EXPECT_ERROR(decode_cosign(with_share), concordat::errors::malformed);
  World world(3, 1, false);
  EXPECT_ERROR(decode_table(encode(TableBody{world.sum(), {1}})), concordat::errors::malformed);
}

TEST(Messages, StatementsDifferInEveryPart) {
  World world(3, 1, false);
  Digest federation = digest_of("f");
  ExchangeId exchange{Round{1}, Fragment{0}, Attempt{0}};
  ExchangeId next{Round{2}, Fragment{0}, Attempt{0}};
  Digest manifest = digest_of("m");
  Bytes cosign = cosign_statement(federation, exchange, manifest);
  EXPECT_NE(cosign, cosign_statement(manifest, exchange, federation));
  EXPECT_NE(cosign, cosign_statement(federation, next, manifest));
  EXPECT_NE(cosign, agree_statement(federation, exchange, manifest, {}));
  Bytes received =
      received_statement(federation, exchange, manifest, digest_of("s"), digest_of("r"), 1);
  EXPECT_NE(received,
            received_statement(federation, exchange, manifest, digest_of("s"), digest_of("r"), 2));
  EXPECT_NE(received,
            received_statement(federation, exchange, manifest, digest_of("t"), digest_of("r"), 1));
  TableBody table{world.sum(), {}};
  EXPECT_NE(header_digest(federation, exchange, manifest, SiteId{0}, table),
            header_digest(federation, exchange, manifest, SiteId{1}, table));
}

// The worked example of docs/formats/messages.md.
TEST(Messages, BytesAreThoseOfTheFormatPage) {
  Digest a;
  a.bytes.fill(0xaa);
  Digest b;
  b.bytes.fill(0xbb);
  SurvivorsBody survivors{{{SiteId{0}, a}, {SiteId{2}, b}}};
  std::string hex =
      "02000000"
      "00000000" +
      a.hex() + "02000000" + b.hex();
  EXPECT_EQ(to_hex(encode(survivors)), hex);
  Digest federation;
  federation.bytes.fill(7);
  Digest manifest;
  manifest.bytes.fill(9);
  ExchangeId exchange{Round{3}, Fragment{0}, Attempt{0}};
  std::string head = "DSSEv1 34 application/vnd.concordat.agree.v1 156 ";
  EXPECT_EQ(to_hex(agree_statement(federation, exchange, manifest, survivors)),
            to_hex(as_bytes(head)) + federation.hex() + "030000000000000000000000" +
                manifest.hex() + "4c000000" + hex);
}

TEST(Messages, NoFrameKeyReachesTheProtocol) {
  World world(3, 1, false);
  border::FrameHeader announced{world.sum(), border::FrameKey::from(Bytes(32, 0x5a)), {}};
  border::OpenedMessage message;
  message.header.type = border::MessageType::header;
  const crypto::SecretBytes sealed_body = border::encode(announced);
  message.body.assign(sealed_body.view().begin(), sealed_body.view().end());
  Bytes body = protocol_body(message);
  EXPECT_EQ(decode_table(body).table, world.sum());
  Bytes key(32, 0x5a);
  EXPECT_EQ(std::search(body.begin(), body.end(), key.begin(), key.end()), body.end());
  message.header.type = border::MessageType::agree;
  message.body = {1, 2};
  EXPECT_EQ(protocol_body(message), message.body);
}

TEST(Messages, BothEndsWriteTheSameFacts) {
  World world(3, 1, false);
  std::map<std::pair<border::MessageType, std::uint32_t>, Bytes> seen;
  world.intercept = [&](border::Header& header, Bytes& body) {
    seen[{header.type, header.sender.value()}] = body;
    return true;
  };
  world.run();
  for (const auto& [key, body] : seen) {
    ledger::Fields hub = crossing_facts(key.first, body, world.hub->survivors());
    for (const SiteExchange& site : world.sites) {
      EXPECT_EQ(crossing_facts(key.first, body, site.survivors()), hub);
    }
  }
  EXPECT_EQ(seen.size(), 5U * 3U + 5U);
}

}  // namespace
}  // namespace concordat::federation::test
