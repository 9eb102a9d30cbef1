#include "concordat/border/frames.hpp"

#include <algorithm>

#include "border/frame_wire.hpp"
#include "border/message_wire.hpp"
#include "border/sealing.hpp"
#include "concordat/border/errors.hpp"
#include "concordat/crypto/aead.hpp"
#include "concordat/crypto/errors.hpp"
#include "concordat/crypto/merkle.hpp"

namespace concordat::border {
namespace {

// In the associated data of an aggregate: one sealed text for all sites.
constexpr crypto::SealKey everyone = [] {
  crypto::SealKey key;
  for (auto& byte : key.bytes) byte = 0xff;
  return key;
}();

[[noreturn]] void not_authentic(std::string what, std::string where, std::string found,
                                std::string expected) {
  throw Error(errors::not_authentic, {.what = std::move(what),
                                      .where = std::move(where),
                                      .found = std::move(found),
                                      .expected = std::move(expected),
                                      .remedy = "refuse it; the sender has to send it again"});
}

[[noreturn]] void malformed(std::string what, std::string where, std::string found,
                            std::string expected) {
  throw Error(concordat::errors::malformed, {.what = std::move(what),
                                             .where = std::move(where),
                                             .found = std::move(found),
                                             .expected = std::move(expected),
                                             .remedy = "ask the sender to send it again"});
}

Bytes associated_data(ByteView context, const BlockPlace& place) {
  Bytes associated(context.begin(), context.end());
  auto tail = place_bytes(place);
  associated.insert(associated.end(), tail.begin(), tail.end());
  return associated;
}

const crypto::VerifyKey& sender_of_context(ByteView context, crypto::VerifyKey& out) {
  // federation 32, exchange 12, manifest 32, then the sender's key
  std::copy_n(context.begin() + 76, 32, out.bytes.begin());
  return out;
}

std::uint8_t announced_by(ByteView context) { return context.back(); }

// "update block 3 of exchange 3.0.0, after header, from key 8a88e3dd"
std::string where_of(const FrameClaim& claim) {
  return claim.place.text() + " of exchange " + claim.exchange.text() + ", after " +
         std::string(name_of(claim.announced_by)) + ", from key " + claim.sender.hex().substr(0, 8);
}

std::string where_of(ByteView context, const BlockPlace& place) {
  FrameClaim claim;
  ByteReader in(context.subspan(32, 12), "frame context");
  claim.exchange.round = Round(in.u32());
  claim.exchange.fragment = Fragment(in.u32());
  claim.exchange.attempt = Attempt(in.u32());
  claim.announced_by = static_cast<MessageType>(announced_by(context));
  sender_of_context(context, claim.sender);
  claim.place = place;
  return where_of(claim);
}

Announcement announce(Bytes wire, const Header& header, const FrameHeader& announced,
                      const PeerDirectory& peers) {
  return {Sealing::envelope(Envelope::Kind::message, std::move(wire)),
          Sealing::frames(frame_context(header, peers),
                          {announced.table, announced.key.clone(), announced.rest})};
}

}  // namespace

std::array<std::uint8_t, 12> place_bytes(const BlockPlace& place) {
  std::array<std::uint8_t, 12> bytes{};
  bytes[0] = static_cast<std::uint8_t>(MessageType::block);
  bytes[2] = static_cast<std::uint8_t>(place.vector);
  for (unsigned i = 0; i < 8; ++i) {
    bytes[4 + i] = static_cast<std::uint8_t>(place.index >> (8 * i));
  }
  return bytes;
}

Bytes frame_context(const Header& announcement, const crypto::VerifyKey& sender,
                    const crypto::SealKey& recipient) {
  ByteWriter out;
  out.digest(announcement.federation);
  out.u32(announcement.exchange.round.value());
  out.u32(announcement.exchange.fragment.value());
  out.u32(announcement.exchange.attempt.value());
  out.digest(announcement.manifest);
  out.raw(sender.view());
  out.raw(announcement.type == MessageType::aggregate ? everyone.view() : recipient.view());
  out.u8(static_cast<std::uint8_t>(announcement.type));
  return std::move(out).bytes();
}

Bytes frame_context(const Header& announcement, const PeerDirectory& peers) {
  return frame_context(announcement, peers.at(announcement.sender).verify,
                       peers.at(announcement.recipient).seal);
}

Announcement seal_announcement(ledger::Written<ledger::Decision>&& written, const Header& header,
                               const FrameHeader& announced, const Identity& me,
                               const PeerDirectory& peers, crypto::SecureRandom& random) {
  CONCORDAT_REQUIRE(announces_frames(header.type), header.text());
  CONCORDAT_REQUIRE(header.federation == peers.federation(), header.text());
  CONCORDAT_REQUIRE(header.sender == me.id, header.text());
  crypto::SecretBytes body = encode(announced);
  use_decision(std::move(written), header,
               sealed_message_bytes(body.size()) + announced.table.all_frame_bytes());
  Bytes wire = seal_wire(header, body.view(), me, peers, random);
  return announce(std::move(wire), header, announced, peers);
}

Announcement resume_announcement(ledger::Written<ledger::Decision>&& written, ByteView wire,
                                 const FrameHeader& announced, const Identity& me,
                                 const PeerDirectory& peers) {
  Envelope own = restore_message(wire, me, peers);
  Header header = verify_message(own.wire(), peers);
  if (!announces_frames(header.type)) {
    throw Error(errors::no_header, {.what = "a message that announces no frames",
                                    .where = header.text(),
                                    .found = std::string(name_of(header.type)),
                                    .expected = "header or aggregate",
                                    .remedy = "this is a damaged journal; restore it"});
  }
  use_decision(std::move(written), header, wire.size() + announced.table.all_frame_bytes());
  return announce(Bytes(wire.begin(), wire.end()), header, announced, peers);
}

Envelope FrameSealer::seal(const BlockPlace& place, ByteView bytes,
                           std::span<const Digest> path) const {
  const FrameTable& table = header_.table;
  std::uint64_t position = table.position(place);
  if (bytes.size() != table.block_bytes(place)) {
    malformed("a block of the wrong length", where_of(context_, place),
              std::to_string(bytes.size()) + " bytes",
              std::to_string(table.block_bytes(place)) + " bytes for " + place.text());
  }
  Digest leaf = block_leaf(place, bytes);
  if (!crypto::verify_inclusion(leaf, position, table.num_leaves(), path, table.root)) {
    not_authentic("a block that is not the one that was signed", where_of(context_, place),
                  leaf.hex(), "a leaf under root " + table.root.hex());
  }
  crypto::VerifyKey sender;
  ByteWriter head;
  head.raw(frame_magic);
  head.u8(frame_version);
  head.u8(announced_by(context_));
  head.u8(static_cast<std::uint8_t>(place.vector));
  head.u8(static_cast<std::uint8_t>(path.size()));
  head.raw(ByteView(context_).subspan(32, 12));
  head.raw(sender_of_context(context_, sender).view());
  head.u64(place.index);
  head.u32(static_cast<std::uint32_t>(bytes.size() + crypto::aead_tag_bytes));
  for (const Digest& digest : path) head.digest(digest);
  Bytes wire(head.bytes().size() + bytes.size() + crypto::aead_tag_bytes);
  std::copy(head.bytes().begin(), head.bytes().end(), wire.begin());
  crypto::aead_seal_into(header_.key.view(), place_bytes(place), associated_data(context_, place),
                         bytes, ByteSpan(wire).subspan(head.bytes().size()));
  return Sealing::envelope(Envelope::Kind::block, std::move(wire));
}

FrameWire parse_frame(ByteView wire) {
  ByteReader in(wire, "block frame");
  ByteView magic = in.raw(frame_magic.size());
  if (!std::equal(magic.begin(), magic.end(), frame_magic.begin())) {
    malformed("these bytes are no block frame", "block frame", to_hex(magic), to_hex(frame_magic));
  }
  if (std::uint8_t version = in.u8(); version != frame_version) {
    malformed("a block frame of another version", "block frame", std::to_string(version),
              std::to_string(frame_version));
  }
  FrameWire frame;
  std::uint8_t announced = in.u8();
  frame.claim.announced_by = static_cast<MessageType>(announced);
  if (!announces_frames(frame.claim.announced_by)) {
    malformed("a frame of an unknown kind", "block frame", std::to_string(announced), "6 or 11");
  }
  std::uint8_t vector = in.u8();
  if (vector >= num_block_vectors)
    malformed("an unknown vector", "block frame", std::to_string(vector), "0 to 2");
  frame.claim.place.vector = static_cast<BlockVector>(vector);
  std::size_t entries = in.u8();
  if (entries > max_path_entries) {
    malformed("a path longer than its bound", "block frame", std::to_string(entries),
              "at most " + std::to_string(max_path_entries));
  }
  frame.claim.exchange.round = Round(in.u32());
  frame.claim.exchange.fragment = Fragment(in.u32());
  frame.claim.exchange.attempt = Attempt(in.u32());
  frame.claim.sender = crypto::VerifyKey::from(in.raw(32), "block frame sender");
  frame.claim.place.index = in.u64();
  std::size_t length = in.u32();
  if (length <= crypto::aead_tag_bytes || length > max_block_bytes + crypto::aead_tag_bytes) {
    malformed("a sealed block of an impossible length", where_of(frame.claim),
              std::to_string(length) + " bytes",
              "17 to " + std::to_string(max_block_bytes + crypto::aead_tag_bytes));
  }
  for (std::size_t i = 0; i < entries; ++i) frame.path.push_back(in.digest());
  frame.sealed = in.raw(length);
  in.finish();
  return frame;
}

FrameClaim read_frame_claim(ByteView wire) { return parse_frame(wire).claim; }

std::uint64_t max_frame_wire_bytes() {
  return frame_fixed_bytes + 32 * max_path_entries + max_block_bytes + crypto::aead_tag_bytes;
}

FrameOpener::FrameOpener(const OpenedMessage& announcement, const PeerDirectory& peers)
    : announcement_(announcement.header), header_(decode_announced(announcement)) {
  context_ = frame_context(announcement_, peers);
}

FrameHeader FrameOpener::decode_announced(const OpenedMessage& announcement) {
  if (!announces_frames(announcement.header.type)) {
    throw Error(errors::no_header, {.what = "a message that announces no frames",
                                    .where = announcement.header.text(),
                                    .found = std::string(name_of(announcement.header.type)),
                                    .expected = "header or aggregate",
                                    .remedy = "wait for the signed announcement"});
  }
  return decode_frame_header(announcement.body);
}

OpenedBlock FrameOpener::open(ByteView wire) const {
  FrameWire frame = parse_frame(wire);
  const BlockPlace& place = frame.claim.place;
  crypto::VerifyKey sender;
  if (frame.claim.exchange != announcement_.exchange ||
      frame.claim.announced_by != announcement_.type ||
      frame.claim.sender != sender_of_context(context_, sender)) {
    throw Error(errors::no_header, {.what = "a block frame that this announcement does not cover",
                                    .where = place.text(),
                                    .found = "exchange " + frame.claim.exchange.text(),
                                    .expected = announcement_.text(),
                                    .remedy = "send the signed announcement first"});
  }
  std::uint64_t position = header_.table.position(place);
  std::size_t expected = header_.table.block_bytes(place) + crypto::aead_tag_bytes;
  if (frame.sealed.size() != expected) {
    malformed("a block frame of the wrong length", where_of(frame.claim),
              std::to_string(frame.sealed.size()) + " bytes",
              std::to_string(expected) + " bytes for " + place.text());
  }
  OpenedBlock block{place, {}, Bytes(header_.table.block_bytes(place))};
  open_stored(place, frame.sealed, block.bytes);
  block.leaf = block_leaf(place, block.bytes);
  if (!crypto::verify_inclusion(block.leaf, position, header_.table.num_leaves(), frame.path,
                                header_.table.root)) {
    not_authentic("a block that does not lead to the signed root", where_of(frame.claim),
                  block.leaf.hex(), "a leaf under root " + header_.table.root.hex());
  }
  return block;
}

ByteView FrameOpener::sealed_part(ByteView wire) { return parse_frame(wire).sealed; }

void FrameOpener::open_stored(const BlockPlace& place, ByteView sealed, ByteSpan out) const {
  try {
    crypto::aead_open_into(header_.key.view(), place_bytes(place), associated_data(context_, place),
                           sealed, out);
  } catch (const Error& error) {
    if (error.code() != crypto::errors::open_failed) throw;
    not_authentic("a block frame that does not open", where_of(context_, place),
                  "a changed or misplaced frame", "one sealed for " + announcement_.text());
  }
}

}  // namespace concordat::border
