// Sealing asks for exactly the decision that stands in the ledger, once.
#include "unit/border/fixture.hpp"

namespace concordat::border::testing {
namespace {

std::string seal_with(World& world, const Header& header, const ledger::Decision& decision) {
  return code_of([&] {
    seal_message(world.written(decision), header, as_bytes("body"), world.identity(alba),
                 world.peers, crypto::system_random());
  });
}

TEST(Decision, EachFieldIsCompared) {
  World world;
  Header header = world.header(MessageType::cosign);
  const ledger::Decision right = world.decision(header, sealed_message_bytes(4));
  EXPECT_EQ(seal_with(world, header, right), "nothing");

  auto wrong = right;
  wrong.kind = ledger::CrossingKind::agree;
  EXPECT_EQ(seal_with(world, header, wrong), "border.decision_mismatch");
  wrong = right;
  wrong.exchange.round = Round{4};
  EXPECT_EQ(seal_with(world, header, wrong), "border.decision_mismatch");
  wrong = right;
  wrong.manifest = World::digest_of(1);
  EXPECT_EQ(seal_with(world, header, wrong), "border.decision_mismatch");
  wrong = right;
  wrong.recipient = brio;
  EXPECT_EQ(seal_with(world, header, wrong), "border.decision_mismatch");
  wrong = right;
  wrong.id += "0";
  EXPECT_EQ(seal_with(world, header, wrong), "border.decision_mismatch");
  wrong = right;
  wrong.max_bytes -= 1;
  EXPECT_EQ(seal_with(world, header, wrong), "border.decision_mismatch");
}

TEST(Decision, IsUsedOnce) {
  World world;
  Header header = world.header(MessageType::cosign);
  auto written = world.written(world.decision(header));
  auto seal = [&] {
    seal_message(std::move(written), header, as_bytes("x"), world.identity(alba), world.peers,
                 crypto::system_random());
  };
  seal();
  EXPECT_THROW(seal(), Bug);
}

TEST(Decision, IsUsedUpByAMismatchToo) {
  World world;
  Header header = world.header(MessageType::cosign);
  auto written = world.written(world.decision(world.header(MessageType::agree)));
  auto seal = [&] {
    seal_message(std::move(written), header, as_bytes("x"), world.identity(alba), world.peers,
                 crypto::system_random());
  };
  EXPECT_EQ(code_of(seal), "border.decision_mismatch");
  EXPECT_THROW(seal(), Bug);
}

TEST(Decision, CoversAHeaderWithAllItsFrames) {
  World world;
  Upload upload;
  Header header = world.header(MessageType::header);
  std::uint64_t exact =
      sealed_message_bytes(encode(upload.header()).size()) + upload.table.all_frame_bytes();
  auto announce = [&](std::uint64_t max_bytes) {
    return code_of([&] {
      seal_announcement(world.written(world.decision(header, max_bytes)), header, upload.header(),
                        world.identity(alba), world.peers, crypto::system_random());
    });
  };
  EXPECT_EQ(announce(exact), "nothing");
  EXPECT_EQ(announce(exact - 1), "border.decision_mismatch");
}

TEST(Decision, ARefusalNeverBecomesAWritten) {
  World world;
  auto refused = world.decision(world.header(MessageType::cosign));
  refused.permitted = false;
  refused.rule = "too_early";
  EXPECT_EQ(code_of([&] { world.written(refused); }), "ledger.refused");
}

TEST(Decision, NobodySealsInTheNameOfAnother) {
  World world;
  Header header = world.header(MessageType::cosign);
  EXPECT_EQ(code_of([&] {
              seal_message(world.written(world.decision(header)), header, as_bytes("x"),
                           world.identity(brio), world.peers, crypto::system_random());
            }),
            "border.unknown_peer");
}

TEST(Decision, OnlyADonorsStateIsPassedOnUnopenedAndOnlyWithADecision) {
  World world;
  Header header = world.header(MessageType::state, alba, cala);
  header.index = 7;
  const Envelope sealed = world.seal(header, as_bytes("state"));
  const Envelope passed =
      pass_on(world.written(world.decision(header)), sealed.wire(), world.peers);
  EXPECT_EQ(to_hex(passed.wire()), to_hex(sealed.wire()));
  EXPECT_EQ(to_string(world.open(passed.wire(), cala).body), "state");
  EXPECT_EQ(code_of([&] { world.open(passed.wire(), coordinator_id); }), "border.not_authentic");
  Header other = header;
  other.recipient = brio;
  EXPECT_EQ(
      code_of([&] { pass_on(world.written(world.decision(other)), sealed.wire(), world.peers); }),
      "border.decision_mismatch");
  other = header;
  other.index = 8;
  EXPECT_EQ(
      code_of([&] { pass_on(world.written(world.decision(other)), sealed.wire(), world.peers); }),
      "border.decision_mismatch");
  EXPECT_EQ(code_of([&] {
              pass_on(world.written(world.decision(header, sealed.wire().size() - 1)),
                      sealed.wire(), world.peers);
            }),
            "border.decision_mismatch");
  Bytes damaged(sealed.wire().begin(), sealed.wire().end());
  damaged[damaged.size() - 70] ^= 1U;
  EXPECT_EQ(code_of([&] { pass_on(world.written(world.decision(header)), damaged, world.peers); }),
            "border.not_authentic");
  const Header cosign = world.header(MessageType::cosign);
  const Envelope own = world.seal(cosign, as_bytes("x"));
  EXPECT_EQ(
      code_of([&] { pass_on(world.written(world.decision(cosign)), own.wire(), world.peers); }),
      "border.not_authentic");
}

}  // namespace
}  // namespace concordat::border::testing
