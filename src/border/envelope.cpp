#include "concordat/border/envelope.hpp"

#include <algorithm>

#include "border/message_wire.hpp"
#include "border/sealing.hpp"
#include "concordat/border/errors.hpp"
#include "concordat/crypto/dsse.hpp"
#include "concordat/crypto/errors.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/crypto/hpke.hpp"
#include "concordat/crypto/secret_bytes.hpp"

namespace concordat::border {
namespace {

[[noreturn]] void not_authentic(std::string what, std::string where, std::string found,
                                std::string expected) {
  throw Error(errors::not_authentic, {.what = std::move(what),
                                      .where = std::move(where),
                                      .found = std::move(found),
                                      .expected = std::move(expected),
                                      .remedy = "refuse it; the sender has to send it again"});
}

// What the header claims; whether it is true is what the callers find out.
std::string claim_of(const SignedWire& wire) {
  return std::string(name_of(wire.type)) + " of exchange " + wire.exchange.text();
}

std::string claim_of(const SignedWire& wire, SiteId sender) {
  return claim_of(wire) + " from " + text_of(sender);
}

SiteId known_sender(const SignedWire& wire, const PeerDirectory& peers) {
  auto id = peers.find_verify(wire.sender);
  if (!id) {
    throw Error(errors::unknown_peer, {.what = "the sender of a message is not in the directory",
                                       .where = claim_of(wire),
                                       .found = "signing key " + wire.sender.hex(),
                                       .expected = "a key of the roster",
                                       .remedy = "check that both ends use the same roster"});
  }
  return *id;
}

/// Signature, federation and the two ids: everything that needs no body.
Header check_signed(const SignedWire& wire, ByteView signature_bytes, const PeerDirectory& peers) {
  SiteId sender = known_sender(wire, peers);
  crypto::Signature signature = crypto::signature_from(signature_bytes, claim_of(wire, sender));
  if (!crypto::verify(wire.sender, crypto::dsse_pae(message_pae_type, wire.signed_part),
                      signature)) {
    not_authentic("the signature of a message does not verify", claim_of(wire, sender),
                  "another signature", "that of " + text_of(sender));
  }
  if (wire.federation != peers.federation()) {
    not_authentic("a message of another federation", claim_of(wire, sender), wire.federation.hex(),
                  peers.federation().hex());
  }
  auto recipient = peers.find_seal(wire.recipient);
  if (!recipient) {
    throw Error(errors::unknown_peer, {.what = "the recipient of a message is not in the directory",
                                       .where = claim_of(wire, sender),
                                       .found = "sealing key " + wire.recipient.hex(),
                                       .expected = "a key of the roster",
                                       .remedy = "check that both ends use the same roster"});
  }
  return {.federation = wire.federation,
          .exchange = wire.exchange,
          .manifest = wire.manifest,
          .sender = sender,
          .recipient = *recipient,
          .type = wire.type,
          .index = wire.index};
}

/// With the body digest: everything but the opening.
Header check(const MessageWire& wire, const PeerDirectory& peers) {
  Header header = check_signed(wire, wire.signature, peers);
  if (crypto::sha256(wire.sealed) != wire.body_digest) {
    not_authentic("the body of a message is not the one that was signed", header.text(),
                  crypto::sha256(wire.sealed).hex(), wire.body_digest.hex());
  }
  return header;
}

Statement cut_statement(const MessageWire& wire) {
  Statement statement{};
  std::copy(wire.signature.begin(), wire.signature.end(),
            std::copy(wire.signed_part.begin(), wire.signed_part.end(), statement.begin()));
  return statement;
}

void require_own(const Header& header, const Identity& me, const PeerDirectory& peers) {
  const Peer& own = peers.at(me.id);
  if (header.sender != me.id || own.verify != me.signing.verify_key()) {
    throw Error(errors::unknown_peer, {.what = "a message can only be sealed in one's own name",
                                       .where = header.text(),
                                       .found = text_of(me.id),
                                       .expected = "the keys that the directory lists for it",
                                       .remedy = "check the key folder and the roster"});
  }
}

}  // namespace

Digest Envelope::digest() const { return crypto::sha256(wire_); }

std::uint64_t sealed_message_bytes(std::uint64_t body_bytes) {
  return signed_wire_bytes + body_bytes + crypto::hpke_overhead_bytes + signature_wire_bytes;
}

std::uint64_t max_message_wire_bytes() { return sealed_message_bytes(max_body_bytes); }

Bytes seal_wire(const Header& header, ByteView body, const Identity& me, const PeerDirectory& peers,
                crypto::SecureRandom& random) {
  if (body.size() > max_body_bytes) {
    throw Error(concordat::errors::malformed,
                {.what = "a body is longer than its bound",
                 .where = header.text(),
                 .found = std::to_string(body.size()) + " bytes",
                 .expected = "at most " + std::to_string(max_body_bytes),
                 .remedy = "fewer participants or shorter documents"});
  }
  const Peer& own = peers.at(me.id);
  const Peer& to = peers.at(header.recipient);
  Bytes wire = encode_header(header, own.verify, to.seal);
  Bytes sealed = crypto::hpke_seal(to.seal, wire, {}, body, random);
  ByteWriter tail;
  tail.digest(crypto::sha256(sealed));
  tail.u32(static_cast<std::uint32_t>(sealed.size()));
  wire.insert(wire.end(), tail.bytes().begin(), tail.bytes().end());
  crypto::Signature signature = me.signing.sign(crypto::dsse_pae(message_pae_type, wire));
  wire.insert(wire.end(), sealed.begin(), sealed.end());
  wire.insert(wire.end(), signature.begin(), signature.end());
  return wire;
}

Envelope seal_message(ledger::Written<ledger::Decision>&& written, const Header& header,
                      ByteView body, const Identity& me, const PeerDirectory& peers,
                      crypto::SecureRandom& random) {
  CONCORDAT_REQUIRE(!announces_frames(header.type), header.text());
  CONCORDAT_REQUIRE(message_type_from(static_cast<std::uint16_t>(header.type)), header.text());
  CONCORDAT_REQUIRE(header.federation == peers.federation(), header.text());
  use_decision(std::move(written), header, sealed_message_bytes(body.size()));
  require_own(header, me, peers);
  return Sealing::envelope(Envelope::Kind::message, seal_wire(header, body, me, peers, random));
}

Envelope restore_message(ByteView wire, const Identity& me, const PeerDirectory& peers) {
  Header header = check(parse_message(wire), peers);
  if (header.sender != me.id) {
    not_authentic("journalled bytes that are not this process's own message", header.text(),
                  text_of(header.sender), text_of(me.id));
  }
  require_own(header, me, peers);
  return Sealing::envelope(Envelope::Kind::message, Bytes(wire.begin(), wire.end()));
}

Envelope pass_on(ledger::Written<ledger::Decision>&& written, ByteView wire,
                 const PeerDirectory& peers) {
  Header header = check(parse_message(wire), peers);
  if (header.type != MessageType::state) {
    not_authentic("only the state of a donor is passed on", header.text(),
                  std::string(name_of(header.type)), "state");
  }
  use_decision(std::move(written), header, wire.size());
  return Sealing::envelope(Envelope::Kind::message, Bytes(wire.begin(), wire.end()));
}

OpenedMessage::~OpenedMessage() { crypto::cleanse(body); }

Statement statement_of(ByteView wire) { return cut_statement(parse_message(wire)); }

Header verify_statement(const Statement& statement, const PeerDirectory& peers) {
  static_assert(sizeof(Statement) == signed_wire_bytes + signature_wire_bytes);
  ByteReader in(statement, "signed statement");
  SignedWire wire = parse_signed(in, statement);
  return check_signed(wire, in.raw(signature_wire_bytes), peers);
}

Claim read_claim(ByteView wire) {
  MessageWire message = parse_message(wire);
  return {message.exchange, message.type, message.index};
}

Header verify_message(ByteView wire, const PeerDirectory& peers) {
  return check(parse_message(wire), peers);
}

OpenedMessage open_message(ByteView wire, const Identity& me, const PeerDirectory& peers) {
  MessageWire message = parse_message(wire);
  Header header = check(message, peers);
  if (header.recipient != me.id) {
    not_authentic("a message for somebody else", header.text(), text_of(header.recipient),
                  text_of(me.id));
  }
  try {
    Bytes body = crypto::hpke_open(me.sealing, message.info, {}, message.sealed);
    return {header, std::move(body), crypto::sha256(wire), cut_statement(message)};
  } catch (const Error& error) {
    if (error.code() != crypto::errors::open_failed && error.code() != crypto::errors::bad_key) {
      throw;
    }
    not_authentic("the body of a signed message does not open", header.text(), "other sealed bytes",
                  "a body sealed to " + text_of(me.id));
  }
}

}  // namespace concordat::border
