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

/// Our name in a client's list of protocols (ALPN: each a length byte and a name), or empty. The
/// list comes from a peer that nobody has authenticated.
ByteView find_road_protocol(ByteView list);

Bytes frame_head(std::uint8_t kind, std::uint64_t length);
/// Longest payload of a request; nullopt for an unknown one.
std::optional<std::uint64_t> request_bound(std::uint8_t kind);
std::uint64_t answer_bound();

void write_exchange(ByteWriter& out, const ExchangeId& exchange);
ExchangeId read_exchange(ByteReader& in);

/// Does what a request says that is answered at once: any but fetch and fetch_blocks. Returns the
/// payload of the answer.
Bytes act_at_once(RoadHandler& handler, SiteId from, Request request, ByteView payload);

/// What fetch_blocks asks for: positions [first, last).
struct BlockRange {
  ExchangeId exchange{};
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};
/// @throws Error(road_abused) for more than `most` or a range that runs backwards.
BlockRange read_block_range(ByteView payload, std::uint64_t most, std::string_view where);
Bytes encode(const BlockRange& range);
/// Of an answer. @throws Error(malformed).
std::uint64_t read_position(const std::optional<Bytes>& payload);

/// Whether the peer is told. What ends the coordinator's process is no answer to a site: its
/// connection ends, and it tries again when the coordinator is back. Verdicts of the protocol are
/// told even then.
bool is_answer(const Error& error);
/// A refusal as payload: the code of the error and its text, both bounded.
Bytes encode_refusal(const Error& error);
/// Throws it as Error(peer_refused): `found` is the code and nothing else.
/// @throws Error(road_abused) if the code is none.
[[noreturn]] void throw_refusal(ByteView payload, std::string_view where);
/// Characters that steer a terminal or a log reader, and what is not ASCII, as \xNN.
std::string printable(std::string_view text);

}  // namespace concordat::border
