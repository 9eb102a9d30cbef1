#include "border/road_protocol.hpp"

#include <algorithm>

#include "concordat/border/errors.hpp"

namespace concordat::border {
namespace {

constexpr std::size_t max_refusal_text = 1024;

}  // namespace

Bytes frame_head(std::uint8_t kind, std::uint64_t length) {
  ByteWriter out;
  out.u8(kind);
  out.u32(static_cast<std::uint32_t>(length));
  return std::move(out).bytes();
}

std::optional<std::uint64_t> request_bound(std::uint8_t kind) {
  switch (static_cast<Request>(kind)) {
    case Request::deliver:
      return max_message_wire_bytes();
    case Request::fetch:
      return 4;
    case Request::acknowledge:
      return 32;
    case Request::upload_position:
    case Request::flush:
      return 12;
    case Request::block:
      return max_frame_wire_bytes();
    case Request::fetch_blocks:
      return 28;
  }
  return std::nullopt;
}

std::uint64_t answer_bound() { return std::max(max_message_wire_bytes(), max_frame_wire_bytes()); }

void write_exchange(ByteWriter& out, const ExchangeId& exchange) {
  out.u32(exchange.round.value());
  out.u32(exchange.fragment.value());
  out.u32(exchange.attempt.value());
}

ExchangeId read_exchange(ByteReader& in) {
  ExchangeId exchange;
  exchange.round = Round(in.u32());
  exchange.fragment = Fragment(in.u32());
  exchange.attempt = Attempt(in.u32());
  return exchange;
}

bool is_answer(const Error& error) {
  return error.severity() != Severity::process || error.code().name.starts_with("federation.");
}

Bytes encode_refusal(const Error& error) {
  ByteWriter out;
  out.sized(std::string_view(error.what()).substr(0, max_refusal_text));
  return std::move(out).bytes();
}

void throw_refusal(ByteView payload) {
  ByteReader in(payload, "refusal");
  std::string text = in.sized_string(max_refusal_text);
  in.finish();
  throw Error(errors::peer_refused, {.what = "the coordinator refused a request",
                                     .where = "tls road",
                                     .found = text,
                                     .expected = "an acknowledgement",
                                     .remedy = "see the coordinator's log"});
}

}  // namespace concordat::border
