// Records of a border's journal: what it accepted, what it sealed, what arrived, what is over.
//
//   journal.append(encode(SealedRecord{MessageType::cosign, wire}));
//   BorderRecord record = decode_border_record(body);
//
// No secrets: frame keys and private keys lie in ExchangeSecrets.
#pragma once

#include <variant>

#include "concordat/border/envelope.hpp"
#include "concordat/federation/events.hpp"
#include "concordat/federation/terms.hpp"

namespace concordat::site {

/// First record: whose journal this is.
struct OpenedRecord {
  Digest agreement{};
};
/// An event that the machine accepted. Of a message also its digest, its sealed size and what its
/// sender signed.
struct EventRecord {
  Digest message{};
  std::uint64_t message_bytes = 0;
  federation::Event event{};
  border::Statement statement{};
};
/// A sealed message, before its first send.
struct SealedRecord {
  border::MessageType type{};
  Bytes wire{};
};
/// The coordinator has it durably; of a header, with all its frames.
struct DeliveredRecord {
  border::MessageType type{};
};
/// The exchange is over here, its secrets are erased. The next round starts from `chain`.
struct OverRecord {
  Round round{};
  Digest manifest{};
  federation::Chain chain{};
};
using BorderRecord =
    std::variant<OpenedRecord, EventRecord, SealedRecord, DeliveredRecord, OverRecord>;

Bytes encode(const BorderRecord& record);
/// @throws Error(malformed).
BorderRecord decode_border_record(ByteView bytes);

}  // namespace concordat::site
