#include "border/road_protocol.hpp"

#include <algorithm>

#include "concordat/border/errors.hpp"

namespace concordat::border {
namespace {

constexpr std::size_t max_refusal_code = 64;
constexpr std::size_t max_refusal_text = 1024;

bool is_code(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || c == '_' || c == '.';
  });
}

}  // namespace

ByteView find_road_protocol(ByteView list) {
  while (!list.empty() && list.size() > list[0]) {
    ByteView name = list.subspan(1, list[0]);
    if (std::ranges::equal(name, as_bytes(road_alpn))) return name;
    list = list.subspan(1U + list[0]);
  }
  return {};
}

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

Bytes act_at_once(RoadHandler& handler, SiteId from, Request request, ByteView payload) {
  if (request == Request::deliver) {
    handler.accept_message(from, payload);
    return {};
  }
  if (request == Request::block) {
    handler.accept_block(from, payload);
    return {};
  }
  ByteReader in(payload, "request");
  if (request == Request::acknowledge) {
    const Digest message = in.digest();
    in.finish();
    handler.acknowledged(from, message);
    return {};
  }
  const ExchangeId exchange = read_exchange(in);
  in.finish();
  ByteWriter position;
  if (request == Request::upload_position) {
    position.u64(handler.upload_position(from, exchange));
  } else if (request == Request::flush) {
    position.u64(handler.flush_blocks(from, exchange));
  } else {
    throw Bug("a request that is not answered at once");
  }
  return std::move(position).bytes();
}

BlockRange read_block_range(ByteView payload, std::uint64_t most, std::string_view where) {
  ByteReader in(payload, "request");
  BlockRange range{.exchange = read_exchange(in)};
  range.first = in.u64();
  range.last = in.u64();
  in.finish();
  if (range.last < range.first || range.last - range.first > most) {
    throw Error(errors::road_abused,
                {.what = "a range of blocks beyond its bound",
                 .where = std::string(where),
                 .found = std::to_string(range.first) + " to " + std::to_string(range.last),
                 .expected = "at most " + std::to_string(most),
                 .remedy = "start all parties with one version"});
  }
  return range;
}

Bytes encode(const BlockRange& range) {
  ByteWriter out;
  write_exchange(out, range.exchange);
  out.u64(range.first);
  out.u64(range.last);
  return std::move(out).bytes();
}

std::uint64_t read_position(const std::optional<Bytes>& payload) {
  ByteReader in(payload ? ByteView(*payload) : ByteView(), "position");
  const std::uint64_t position = in.u64();
  in.finish();
  return position;
}

bool is_answer(const Error& error) {
  return error.severity() != Severity::process || error.code().name.starts_with("federation.");
}

Bytes encode_refusal(const Error& error) {
  ByteWriter out;
  out.sized(error.code().name);
  out.sized(std::string_view(error.what()).substr(0, max_refusal_text));
  return std::move(out).bytes();
}

void throw_refusal(ByteView payload, std::string_view where) {
  ByteReader in(payload, "refusal");
  std::string code = in.sized_string(max_refusal_code);
  std::string text = in.sized_string(max_refusal_text);
  in.finish();
  if (!is_code(code)) {
    throw Error(errors::road_abused, {.what = "a refusal without the code of an error",
                                      .where = std::string(where),
                                      .found = printable(code),
                                      .expected = "1 to 64 of a-z, '_' and '.'",
                                      .remedy = "ask who runs the coordinator"});
  }
  throw Error(errors::peer_refused,
              {.what = "the coordinator refused a request, saying \"" + printable(text) + "\"",
               .where = std::string(where),
               .found = code,
               .expected = "an acknowledgement",
               .remedy = "see the coordinator's log"});
}

std::string printable(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c >= ' ' && c <= '~') {
      out += c;
    } else {
      const auto byte = static_cast<std::uint8_t>(c);
      out += "\\x" + to_hex({&byte, 1});
    }
  }
  return out;
}

}  // namespace concordat::border
