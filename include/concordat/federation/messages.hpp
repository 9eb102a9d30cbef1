// The bodies of the protocol's messages and their bounded codecs (docs/formats/messages.md).
//
//   Bytes body = encode(ReadyBody{...});
//   ReadyBody ready = decode_ready(body);        // Error(malformed) unless exactly one ready
//
// Types 1, 3, 4, 7, 8, 12, 13 are binary; 2 is the manifest's JSON document (manifest.hpp); 6 and
// 11 are border's FrameHeader, of which the protocol sees the table and never the key. Types 5, 9,
// 10, 14, 16, 17 and 18 have numbers only. Plain values; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "concordat/border/frames.hpp"
#include "concordat/ledger/entries.hpp"

namespace concordat::federation {

/// 1: this site starts the round with this state, this ledger and these fresh keys.
struct ReadyBody {
  Round round{};
  Digest state{};
  ledger::Head ledger{};
  /// From the head in this site's last ready (none before round 0) to `ledger`.
  std::vector<Digest> consistency{};
  crypto::SealKey mask{};
  crypto::SealKey share{};
  bool operator==(const ReadyBody&) const = default;
};

/// 3: signature over the manifest. With recovery = none the hash is zero and there are no shares.
struct CosignBody {
  crypto::Signature signature{};
  Digest self_seed_hash{};
  bool operator==(const CosignBody&) const = default;
};

struct SiteSignature {
  SiteId site{};
  crypto::Signature signature{};
  bool operator==(const SiteSignature&) const = default;
};

/// 4: every participant's cosignature, by ascending site.
struct GoBody {
  std::vector<SiteSignature> cosignatures;
  bool operator==(const GoBody&) const = default;
};

/// 6 and 11 without their frame key: what is journalled, hashed and reasoned about.
struct TableBody {
  border::FrameTable table{};
  Bytes rest{};  ///< reserved, empty
  bool operator==(const TableBody&) const = default;
};

struct Survivor {
  SiteId site{};
  Digest header{};  ///< header_digest() of its upload
  bool operator==(const Survivor&) const = default;
};

/// 7: whose uploads enter the sum, by ascending site.
struct SurvivorsBody {
  std::vector<Survivor> survivors;
  bool operator==(const SurvivorsBody&) const = default;
};

/// 8: signature over the survivors.
struct AgreeBody {
  crypto::Signature signature{};
  bool operator==(const AgreeBody&) const = default;
};

/// 12: the aggregate is durable here and its ranges are checked.
struct ReceivedBody {
  Digest root{};
  std::uint64_t total_weight = 0;  ///< W
  crypto::Signature signature{};
  bool operator==(const ReceivedBody&) const = default;
};

/// 13: the closing record; its digest is in the next manifest.
struct ClosedBody {
  Digest manifest{};
  std::uint64_t total_weight = 0;
  Digest root{};
  /// The survivors, each with its `received` signature, by ascending site.
  std::vector<SiteSignature> received;
  bool operator==(const ClosedBody&) const = default;
  std::vector<SiteId> survivors() const;
};

Bytes encode(const ReadyBody& body);
Bytes encode(const CosignBody& body);
Bytes encode(const GoBody& body);
Bytes encode(const TableBody& body);
Bytes encode(const SurvivorsBody& body);
Bytes encode(const AgreeBody& body);
Bytes encode(const ReceivedBody& body);
Bytes encode(const ClosedBody& body);

ReadyBody decode_ready(ByteView body);
CosignBody decode_cosign(ByteView body);
GoBody decode_go(ByteView body);
TableBody decode_table(ByteView body);
SurvivorsBody decode_survivors(ByteView body);
AgreeBody decode_agree(ByteView body);
ReceivedBody decode_received(ByteView body);
ClosedBody decode_closed(ByteView body);

/// What the machines and their journals take of an opened message: its body, but of types 6 and 11
/// a TableBody, so that no frame key enters a journal. @throws Error(malformed).
Bytes protocol_body(const border::OpenedMessage& message);

/// What the ledgers of both ends say about a message besides its frame: the same from both.
/// `survivors` is read for type 8 only. @pre a machine accepted or said the body.
ledger::Fields crossing_facts(border::MessageType type, ByteView protocol_body,
                              const SurvivorsBody& survivors);

}  // namespace concordat::federation
