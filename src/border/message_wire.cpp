#include "border/message_wire.hpp"

#include <algorithm>

#include "concordat/core/error.hpp"
#include "concordat/crypto/hpke.hpp"

namespace concordat::border {
namespace {

[[noreturn]] void malformed(std::string what, std::string found, std::string expected) {
  throw Error(errors::malformed, {.what = std::move(what),
                                  .where = "message",
                                  .found = std::move(found),
                                  .expected = std::move(expected),
                                  .remedy = "ask the sender to send it again"});
}

}  // namespace

Bytes encode_header(const Header& header, const crypto::VerifyKey& sender,
                    const crypto::SealKey& recipient) {
  ByteWriter out;
  out.raw(message_magic);
  out.u8(message_version);
  out.u8(0);
  out.u16(static_cast<std::uint16_t>(header.type));
  out.digest(header.federation);
  out.u32(header.exchange.round.value());
  out.u32(header.exchange.fragment.value());
  out.u32(header.exchange.attempt.value());
  out.digest(header.manifest);
  out.raw(sender.view());
  out.raw(recipient.view());
  out.u32(header.index);
  return std::move(out).bytes();
}

SignedWire parse_signed(ByteReader& in, ByteView wire) {
  ByteView magic = in.raw(message_magic.size());
  if (!std::equal(magic.begin(), magic.end(), message_magic.begin())) {
    malformed("these bytes are no message", to_hex(magic), to_hex(message_magic));
  }
  std::uint8_t version = in.u8();
  std::uint8_t reserved = in.u8();
  if (version != message_version || reserved != 0) {
    malformed("a message of another version",
              std::to_string(version) + "." + std::to_string(reserved),
              std::to_string(message_version) + ".0");
  }
  std::uint16_t number = in.u16();
  auto type = message_type_from(number);
  if (!type) malformed("an unknown type of message", std::to_string(number), "1 to 14, or 18");
  SignedWire out;
  out.type = *type;
  out.federation = in.digest();
  out.exchange.round = Round(in.u32());
  out.exchange.fragment = Fragment(in.u32());
  out.exchange.attempt = Attempt(in.u32());
  out.manifest = in.digest();
  out.sender = crypto::VerifyKey::from(in.raw(32), "message sender");
  out.recipient = crypto::SealKey::from(in.raw(32), "message recipient");
  out.index = in.u32();
  out.body_digest = in.digest();
  out.sealed_bytes = in.u32();
  if (out.sealed_bytes < crypto::hpke_overhead_bytes ||
      out.sealed_bytes > max_body_bytes + crypto::hpke_overhead_bytes) {
    malformed("a sealed body of an impossible length", std::to_string(out.sealed_bytes) + " bytes",
              "48 to " + std::to_string(max_body_bytes + crypto::hpke_overhead_bytes));
  }
  out.info = wire.first(header_wire_bytes);
  out.signed_part = wire.first(signed_wire_bytes);
  return out;
}

MessageWire parse_message(ByteView wire) {
  const std::size_t most =
      signed_wire_bytes + max_body_bytes + crypto::hpke_overhead_bytes + signature_wire_bytes;
  if (wire.size() > most) {
    malformed("a message is longer than its bound", std::to_string(wire.size()) + " bytes",
              "at most " + std::to_string(most));
  }
  ByteReader in(wire, "message");
  MessageWire out{parse_signed(in, wire), {}, {}};
  out.sealed = in.raw(out.sealed_bytes);
  out.signature = in.raw(signature_wire_bytes);
  in.finish();
  return out;
}

}  // namespace concordat::border
