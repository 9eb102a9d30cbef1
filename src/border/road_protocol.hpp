// Requests and answers of the tls road, inside the TLS stream: docs/formats/tls-road.md.
#pragma once

#include <optional>

#include "concordat/border/road.hpp"
#include "concordat/core/error.hpp"

namespace concordat::border {

enum class Request : std::uint8_t {
  deliver = 1,
  fetch = 2,
  acknowledge = 3,
  upload_position = 4,
  block = 5,  ///< has no answer; its refusal is the answer to the next flush
  flush = 6,
  fetch_blocks = 7,  ///< has as many answers as blocks, or a refusal that ends them
};

enum class Answer : std::uint8_t { done = 0, refused = 1, nothing = 2 };

inline constexpr std::size_t frame_head_bytes = 5;  ///< one byte of kind, u32 length
inline constexpr std::string_view road_alpn = "concordat/1";
inline constexpr std::uint64_t blocks_per_fetch = 64;
inline constexpr std::chrono::milliseconds longest_fetch_wait{60'000};

Bytes frame_head(std::uint8_t kind, std::uint64_t length);
/// Longest payload of a request; nullopt for an unknown one.
std::optional<std::uint64_t> request_bound(std::uint8_t kind);
std::uint64_t answer_bound();

void write_exchange(ByteWriter& out, const ExchangeId& exchange);
ExchangeId read_exchange(ByteReader& in);

/// Whether the peer is told. What ends the coordinator's process is no answer to a site: its
/// connection ends, and it tries again when the coordinator is back. Verdicts of the protocol are
/// told even then.
bool is_answer(const Error& error);
/// A refusal as payload, bounded; and back as Error(peer_refused).
Bytes encode_refusal(const Error& error);
[[noreturn]] void throw_refusal(ByteView payload);

}  // namespace concordat::border
