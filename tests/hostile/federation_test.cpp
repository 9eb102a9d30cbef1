// Bodies of messages, events of journals, and the documents that members hand round.
#include <gtest/gtest.h>

#include <algorithm>

#include "concordat/federation/events.hpp"
#include "concordat/federation/manifest.hpp"
#include "support/hostile.hpp"
#include "unit/federation/world.hpp"

namespace concordat::federation::test {
namespace {

using testing_support::expect_typed;

ReadyBody ready(std::size_t path) {
  ReadyBody body;
  body.round = Round{3};
  body.state = digest_of("state");
  body.ledger = {12, digest_of("root")};
  body.consistency.assign(path, digest_of("node"));
  body.mask = seal_key(1);
  body.share = seal_key(2);
  return body;
}

/// What decodes has one encoding.
template <typename Decode>
void expect_one_form(const std::vector<Bytes>& seeds, Decode decode) {
  expect_typed(seeds, [&](ByteView bytes) {
    EXPECT_TRUE(std::ranges::equal(encode(decode(bytes)), bytes)) << to_hex(bytes);
  });
}

border::FrameTable table() {
  border::FrameTable made;
  made.vectors[0] = border::VectorShape::of(2500, 1024, 2);
  made.vectors[1] = border::VectorShape::of(1, 1, 4);
  made.root = digest_of("root");
  return made;
}

TEST(HostileBytes, BodiesOfMessages) {
  const crypto::Signature signature = signing(9).sign(as_bytes("x"));
  expect_one_form({encode(ready(0)), encode(ready(5))}, decode_ready);
  expect_one_form({encode(CosignBody{signature, {}})}, decode_cosign);
  expect_one_form({encode(GoBody{{{SiteId{0}, signature}, {SiteId{2}, signature}}})}, decode_go);
  expect_one_form({encode(TableBody{table(), {}})}, decode_table);
  expect_one_form(
      {encode(SurvivorsBody{{{SiteId{0}, digest_of("a")}, {SiteId{1}, digest_of("b")}}})},
      decode_survivors);
  expect_one_form({encode(AgreeBody{signature})}, decode_agree);
  expect_one_form({encode(ReceivedBody{digest_of("r"), 300, signature})}, decode_received);
  expect_one_form(
      {encode(ClosedBody{
          digest_of("m"), 300, digest_of("r"), {{SiteId{0}, signature}, {SiteId{1}, signature}}})},
      decode_closed);
}

TEST(HostileBytes, EventsOfAJournal) {
  border::Header header;
  header.type = border::MessageType::ready;
  expect_one_form(
      {encode(Event(Start{ready(2)})), encode(Event(Incoming{header, encode(ready(1))})),
       encode(Event(Committed{table()})), encode(Event(AggregateStored{digest_of("r"), 4})),
       encode(Event(FinalReadyAcknowledged{})), encode(Event(UploadStored{SiteId{1}})),
       encode(Event(Summed{table(), 7}))},
      decode_event);
}

TEST(HostileBytes, Manifests) {
  Manifest manifest;
  manifest.threshold = 3;
  for (std::uint32_t i = 0; i < 3; ++i) manifest.participants.push_back({SiteId{i}, ready(i)});
  expect_typed({encode(manifest)}, [](ByteView bytes) { parse_manifest(bytes, "manifest"); },
               {.bytes_per_byte = 256});
}

TEST(HostileBytes, RostersAndTheirSignatures) {
  const Roster roster = example_roster(3);
  const Bytes document = encode(roster);
  expect_typed({document}, [](ByteView bytes) { parse_roster(bytes, "roster.json"); },
               {.bytes_per_byte = 256});
  const Signatures signatures = sign_by_all(DocumentKind::roster, document, roster);
  expect_typed({encode(signatures)},
               [](ByteView bytes) { parse_signatures(bytes, "roster.json.sigs"); },
               {.bytes_per_byte = 256});
  // With the signatures of all, only the document that they signed is taken.
  const auto count =
      expect_typed({document},
                   [&](ByteView bytes) {
                     const SignedRoster opened =
                         open_roster(Bytes(bytes.begin(), bytes.end()), signatures, "roster.json");
                     EXPECT_EQ(opened.document, document);
                   },
                   {.cases = 1500, .bytes_per_byte = 256});
  EXPECT_LT(count.values, 60);
}

TEST(HostileBytes, Agreements) {
  const SignedRoster roster = signed_roster(3);
  expect_typed({encode(example_agreement(roster))},
               [&](ByteView bytes) {
                 const RunAgreement found = parse_agreement(bytes, "agreement.json");
                 check_agreement(found, roster, "agreement.json");
               },
               {.bytes_per_byte = 256});
}

}  // namespace
}  // namespace concordat::federation::test
