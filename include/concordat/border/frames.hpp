// Block frames: the masked blocks of an upload (after a header, type 6) and the summed blocks of an
// aggregate (after type 11). A frame is authentic only by its Merkle path to the root in a signed
// announcement that came first.
//
//   FrameTable table = table_of(shapes, root);
//   FrameHeader announced{table, FrameKey::generate(random), rest};
//   Announcement up = seal_announcement(std::move(written), header, announced, me, peers, random);
//   road.deliver(up.message);
//   road.deliver_block(up.frames.seal({BlockVector::update, 0}, masked, path));
//   ...
//   FrameOpener opener(open_message(wire, me, peers), peers);        // at the other end
//   OpenedBlock block = opener.open(frame_wire);               // {place, leaf, bytes}
//
// Nonce = (type, vector, index) under a key drawn for this announcement and used for nothing else,
// so none repeats; associated data = (federation, exchange, manifest, sender, recipient, type,
// vector, index). An aggregate's recipient there is `everyone`: one key and the same sealed bytes
// serve all sites, and no nonce meets two texts. Format: docs/formats/block-frame.md.
// Threads: const use from any. Memory: one block; the announcement's table is a few numbers.
#pragma once

#include <array>
#include <span>

#include "concordat/border/envelope.hpp"
#include "concordat/crypto/random.hpp"
#include "concordat/crypto/secret_bytes.hpp"

namespace concordat::border {

/// The vectors that a site masks and uploads, in the order of their leaves.
enum class BlockVector : std::uint8_t { update = 0, weight = 1, tag = 2 };
inline constexpr std::size_t num_block_vectors = 3;
std::string_view name_of(BlockVector vector);

/// Largest block: 2^20 lanes of 32 bits, with room for coarser blocks.
inline constexpr std::uint32_t max_block_bytes = 8U << 20U;
/// Most blocks of one announcement.
inline constexpr std::uint64_t max_num_blocks = 1ULL << 32U;

/// Which block: index counts inside its vector.
struct BlockPlace {
  BlockVector vector = BlockVector::update;
  std::uint64_t index = 0;
  auto operator<=>(const BlockPlace&) const = default;
  std::string text() const;
};

/// Leaf hash of a block: merkle_leaf(type 16 || vector || index || bytes). Ranks write these into
/// COMMIT and check the aggregate's blocks against them.
Digest block_leaf(const BlockPlace& place, ByteView bytes);

/// The blocks of one vector: all of block_bytes but the last.
struct VectorShape {
  std::uint64_t num_blocks = 0;
  std::uint32_t block_bytes = 0;
  std::uint32_t last_block_bytes = 0;
  bool operator==(const VectorShape&) const = default;
  /// Of `lanes` lanes of `lane_bytes` each, cut into blocks of `lanes_per_block`.
  static VectorShape of(std::uint64_t lanes, std::uint64_t lanes_per_block,
                        std::uint32_t lane_bytes);
};

/// How many blocks of which sizes, and the Merkle root over the leaves of all vectors in order.
struct FrameTable {
  std::array<VectorShape, num_block_vectors> vectors{};
  Digest root{};
  bool operator==(const FrameTable&) const = default;
  std::uint64_t num_leaves() const;
  /// Position among the leaves. @throws Error(malformed) outside the table.
  std::uint64_t position(const BlockPlace& place) const;
  /// Inverse. @pre position < num_leaves().
  BlockPlace place(std::uint64_t position) const;
  std::uint32_t block_bytes(const BlockPlace& place) const;
  /// Sealed size of a frame, its path included; for all frames together.
  std::uint64_t frame_bytes(const BlockPlace& place) const;
  std::uint64_t all_frame_bytes() const;
  void encode(ByteWriter& out) const;
  /// @throws Error(malformed) beyond the bounds or where the shapes contradict each other.
  static FrameTable decode(ByteReader& in);
};

/// 32 bytes, drawn for one announcement.
class FrameKey {
 public:
  static FrameKey generate(crypto::SecureRandom& random) { return FrameKey(random.secret(32)); }
  /// @pre 32 bytes.
  static FrameKey from(ByteView bytes);
  ByteView view() const { return bytes_.view(); }
  FrameKey clone() const { return FrameKey(bytes_.clone()); }

 private:
  explicit FrameKey(crypto::SecretBytes bytes) : bytes_(std::move(bytes)) {}
  crypto::SecretBytes bytes_;
};

/// The body of types 6 and 11: the table, the key, and what the protocol adds.
struct FrameHeader {
  FrameTable table;
  FrameKey key;
  Bytes rest{};  ///< at most 64 KiB; `federation` reads and writes it
};
crypto::SecretBytes encode(const FrameHeader& header);
FrameHeader decode_frame_header(ByteView body);

/// Seals blocks, each only if its path leads to the signed root.
class FrameSealer {
 public:
  const FrameTable& table() const { return header_.table; }
  /// @throws Error(not_authentic) if bytes and path do not lead to the root: what is on disk is not
  /// what was signed. Error(malformed) for a wrong length or place. Cost: one hash, one AES-GCM.
  Envelope seal(const BlockPlace& place, ByteView bytes, std::span<const Digest> path) const;

 private:
  friend struct Sealing;
  FrameSealer(Bytes context, FrameHeader header)
      : context_(std::move(context)), header_(std::move(header)) {}
  Bytes context_;
  FrameHeader header_;
};

struct Announcement {
  Envelope message;
  FrameSealer frames;
};

/// Seals a header or aggregate message and the right to its frames, under one decision whose
/// max_bytes covers all of them. @throws as seal_message.
Announcement seal_announcement(ledger::Written<ledger::Decision>&& written, const Header& header,
                               const FrameHeader& announced, const Identity& me,
                               const PeerDirectory& peers, crypto::SecureRandom& random);
/// After a restart: the journalled message and the FrameHeader from the exchange's secrets.
Announcement resume_announcement(ledger::Written<ledger::Decision>&& written, ByteView wire,
                                 const FrameHeader& announced, const Identity& me,
                                 const PeerDirectory& peers);

struct OpenedBlock {
  BlockPlace place;
  Digest leaf;
  Bytes bytes;
};

class FrameOpener {
 public:
  /// From an opened message of type 6 or 11. @throws Error(no_header) for another type.
  FrameOpener(const OpenedMessage& announcement, const PeerDirectory& peers);
  const FrameTable& table() const { return header_.table; }
  const FrameHeader& header() const { return header_; }
  const Header& announcement() const { return announcement_; }
  /// @throws Error(not_authentic | malformed | no_header).
  OpenedBlock open(ByteView wire) const;
  /// The ciphertext and tag of a frame that open() accepts, for storing: block_bytes + 16.
  static ByteView sealed_part(ByteView wire);
  /// Opens a stored sealed part again. @throws Error(not_authentic).
  void open_stored(const BlockPlace& place, ByteView sealed, ByteSpan out) const;

 private:
  static FrameHeader decode_announced(const OpenedMessage& announcement);
  Header announcement_;
  Bytes context_;
  FrameHeader header_;
};

/// What a frame says before it is checked: to which announcement it belongs.
struct FrameClaim {
  MessageType announced_by;  ///< header or aggregate
  ExchangeId exchange;
  crypto::VerifyKey sender;
  BlockPlace place;
};
/// @throws Error(malformed).
FrameClaim read_frame_claim(ByteView wire);

/// Longest wire of a frame.
std::uint64_t max_frame_wire_bytes();

}  // namespace concordat::border
