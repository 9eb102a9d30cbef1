// What a hostile network or peer can do to a message.
#include "border/message_wire.hpp"
#include "border/sealing.hpp"
#include "concordat/crypto/dsse.hpp"
#include "unit/border/fixture.hpp"

namespace concordat::border::testing {
namespace {

bool is_refusal(const std::string& code) {
  return code == "border.not_authentic" || code == "border.unknown_peer" ||
         code == "core.malformed";
}

TEST(HostileMessage, EveryFlippedByteIsNoticed) {
  World world;
  Envelope envelope = world.seal(world.header(MessageType::cosign), as_bytes("the body"));
  Bytes wire = copy(envelope.wire());
  for (std::size_t i = 0; i < wire.size(); ++i) {
    for (std::uint8_t bit : Bytes{0x01, 0x80}) {
      wire[i] ^= bit;
      std::string code = code_of([&] { world.open(wire); });
      EXPECT_TRUE(is_refusal(code)) << "byte " << i << ": " << code;
      wire[i] ^= bit;
    }
  }
  EXPECT_EQ(to_string(world.open(wire).body), "the body");
}

TEST(HostileMessage, EveryCutAndEveryExtensionIsMalformed) {
  World world;
  Envelope envelope = world.seal(world.header(MessageType::cosign), as_bytes("the body"));
  Bytes wire = copy(envelope.wire());
  for (std::size_t size = 0; size < wire.size(); ++size) {
    EXPECT_EQ(code_of([&] { world.open(ByteView(wire).first(size)); }), "core.malformed") << size;
  }
  wire.push_back(0);
  EXPECT_EQ(code_of([&] { world.open(wire); }), "core.malformed");
}

TEST(HostileMessage, AnImpossibleLengthIsRefusedBeforeAnythingIsAllocated) {
  World world;
  Bytes wire = copy(world.seal(world.header(MessageType::cosign), as_bytes("x")).wire());
  for (std::size_t i = 184; i < 188; ++i) wire[i] = 0xff;
  EXPECT_EQ(code_of([&] { world.open(wire); }), "core.malformed");
}

TEST(HostileMessage, AnotherRecipientCannotOpen) {
  World world;
  Header to_brio = world.header(MessageType::manifest, coordinator_id, brio);
  Envelope envelope = world.seal(to_brio, as_bytes("x"));
  EXPECT_EQ(code_of([&] { world.open(envelope.wire(), cala); }), "border.not_authentic");
  EXPECT_EQ(to_string(world.open(envelope.wire(), brio).body), "x");
}

TEST(HostileMessage, ASignerOutsideTheDirectoryIsUnknown) {
  World world;
  Party stranger;
  PeerDirectory wider(world.peers.federation());
  wider.add(SiteId{7}, {"eve", stranger.signing.verify_key(), stranger.sealing.seal_key(),
                        stranger.tls.verify_key()});
  wider.add(coordinator_id, world.peers.at(coordinator_id));
  Header header = world.header(MessageType::ready, SiteId{7});
  Identity eve{SiteId{7}, stranger.signing, stranger.sealing};
  Bytes wire = seal_wire(header, as_bytes("x"), eve, wider, crypto::system_random());
  EXPECT_EQ(code_of([&] { world.open(wire); }), "border.unknown_peer");
}

TEST(HostileMessage, ASignatureByAnotherMemberIsRefused) {
  World world;
  // Brio signs, but the wire says alba.
  Identity forger{alba, world.parties.at(brio).signing, world.parties.at(brio).sealing};
  Bytes wire = seal_wire(world.header(MessageType::ready), as_bytes("x"), forger, world.peers,
                         crypto::system_random());
  EXPECT_EQ(code_of([&] { world.open(wire); }), "border.not_authentic");
}

TEST(HostileMessage, ARefusalNamesSenderExchangeAndType) {
  World world;
  Bytes wire = copy(world.seal(world.header(MessageType::cosign), as_bytes("x")).wire());
  wire.back() ^= 1U;
  try {
    world.open(wire);
    FAIL() << "a forged signature";
  } catch (const Error& error) {
    EXPECT_EQ(error.fields().where, "cosign of exchange 3.0.0 from site 0");
  }
  Upload upload;
  Announcement up = upload.announce(world, world.header(MessageType::header));
  FrameOpener opener(world.open(up.message.wire()), world.peers);
  Bytes frame = upload.frame(up.frames, 1);
  frame.back() ^= 1U;
  try {
    opener.open(frame);
    FAIL() << "a damaged frame";
  } catch (const Error& error) {
    const std::string key = world.parties.at(alba).signing.verify_key().hex().substr(0, 8);
    EXPECT_EQ(error.fields().where,
              upload.table.place(1).text() + " of exchange 3.0.0, after header, from key " + key);
  }
}

TEST(HostileMessage, AMessageOfAnotherFederationIsRefused) {
  World world;
  PeerDirectory other(World::digest_of(8));
  for (SiteId id : {alba, coordinator_id}) other.add(id, world.peers.at(id));
  Header header = world.header(MessageType::ready);
  header.federation = other.federation();
  Bytes wire =
      seal_wire(header, as_bytes("x"), world.identity(alba), other, crypto::system_random());
  EXPECT_EQ(code_of([&] { world.open(wire); }), "border.not_authentic");
}

// An honest sender's sealed body under another header, signed anew by a malicious member: the
// header is HPKE's info, so the body does not open.
TEST(HostileMessage, ABodyDoesNotMoveToAnotherExchangeTypeOrIndex) {
  World world;
  Header header = world.header(MessageType::cosign);
  Bytes wire = copy(world.seal(header, as_bytes("x")).wire());
  for (std::size_t field : {6U, 40U, 44U, 48U, 52U, 148U}) {
    Bytes spliced = wire;
    spliced[field] ^= 2U;
    ByteView signed_part = ByteView(spliced).first(signed_wire_bytes);
    auto signature =
        world.parties.at(alba).signing.sign(crypto::dsse_pae(message_pae_type, signed_part));
    std::copy(signature.begin(), signature.end(), spliced.end() - 64);
    EXPECT_EQ(code_of([&] { world.open(spliced); }), "border.not_authentic") << field;
  }
}

TEST(HostileMessage, ABodyDoesNotMoveToAnotherSender) {
  World world;
  Bytes wire = copy(world.seal(world.header(MessageType::cosign), as_bytes("x")).wire());
  const auto& thief = world.parties.at(brio).signing;
  std::copy_n(thief.verify_key().bytes.begin(), 32, wire.begin() + 84);
  auto signature =
      thief.sign(crypto::dsse_pae(message_pae_type, ByteView(wire).first(signed_wire_bytes)));
  std::copy(signature.begin(), signature.end(), wire.end() - 64);
  EXPECT_EQ(code_of([&] { world.open(wire); }), "border.not_authentic");
}

TEST(HostileMessage, NoiseIsMalformed) {
  World world;
  for (std::size_t size : {0U, 1U, 100U, 300U, 5000U}) {
    Bytes noise(size);
    crypto::system_random().fill(noise);
    EXPECT_EQ(code_of([&] { world.open(noise); }), "core.malformed");
  }
}

}  // namespace
}  // namespace concordat::border::testing
