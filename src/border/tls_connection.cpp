#include "border/tls_connection.hpp"

#include <algorithm>
#include <array>

#include "concordat/border/errors.hpp"

namespace concordat::border {
namespace {

using std::chrono::milliseconds;

// A wire in memory, its plaintext, and a sealed or stored copy: what a handler holds at most.
constexpr std::uint64_t copies_per_frame = 3;

// So that stop() does not wait for a handler's long wait.
constexpr milliseconds wait_slice{200};

[[noreturn]] void abused(std::string what, std::string found, std::string expected) {
  throw Error(errors::road_abused, {.what = std::move(what),
                                    .where = "tls road",
                                    .found = std::move(found),
                                    .expected = std::move(expected),
                                    .remedy = "the connection is dropped"});
}

}  // namespace

void TlsConnection::serve() {
  while (!stopping_) serve_one();
}

void TlsConnection::serve_one() {
  std::array<std::uint8_t, frame_head_bytes> head{};
  stream_.read(head, limits_.idle, limits_.stall);
  ByteReader in(head, "request");
  std::uint8_t kind = in.u8();
  std::uint64_t length = in.u32();
  auto bound = request_bound(kind);
  if (!bound) abused("an unknown request", std::to_string(kind), "1 to 7");
  if (length > *bound) {
    abused("a request is longer than its bound", std::to_string(length) + " bytes",
           "at most " + std::to_string(*bound));
  }
  receive(length);
  auto request = static_cast<Request>(kind);
  try {
    act_on(request);
  } catch (const Error& error) {
    if (error.code() == errors::road_down || error.code() == errors::road_abused ||
        !is_answer(error)) {
      throw;
    }
    if (request != Request::block) {
      answer(Answer::refused, encode_refusal(error));
    } else if (block_refusal_.empty()) {
      block_refusal_ = encode_refusal(error);
    }
  }
}

void TlsConnection::receive(std::uint64_t length) {
  spill_.begin(length);
  Bytes piece(std::min<std::uint64_t>(length, piece_bytes));
  for (std::uint64_t left = length; left > 0;) {
    ByteSpan part = ByteSpan(piece).first(std::min<std::uint64_t>(left, piece.size()));
    stream_.read(part, limits_.stall, limits_.stall);
    spill_.add(part);
    left -= part.size();
  }
}

template <typename Act>
void TlsConnection::with_payload(Act&& act) {
  // Everything is here: what follows waits for no peer, so it may hold memory.
  if (spill_.size() <= piece_bytes) return act(spill_.take());
  auto held = budget_.reserve(copies_per_frame * spill_.size());
  act(spill_.take());
}

void TlsConnection::act_on(Request request) {
  switch (request) {
    case Request::deliver:
      with_payload([&](const Bytes& wire) { handler_.accept_message(peer_, wire); });
      return answer(Answer::done, {});
    case Request::block:
      // After a refusal the rest of the batch is read and dropped: the flush tells.
      if (!block_refusal_.empty()) return;
      return with_payload([&](const Bytes& wire) { handler_.accept_block(peer_, wire); });
    default:
      break;
  }
  const Bytes payload = spill_.take();
  switch (request) {
    case Request::fetch: {
      ByteReader in(payload, "request");
      const milliseconds wait(in.u32());
      in.finish();
      return fetch(std::min(wait, longest_fetch_wait));
    }
    case Request::fetch_blocks:
      return fetch_blocks(read_block_range(payload, blocks_per_fetch, "tls road"));
    case Request::flush:
      if (Bytes refusal = std::exchange(block_refusal_, {}); !refusal.empty()) {
        return answer(Answer::refused, refusal);
      }
      break;
    default:
      break;
  }
  answer(Answer::done, act_at_once(handler_, peer_, request, payload));
}

void TlsConnection::fetch(milliseconds wait) {
  for (;;) {
    milliseconds slice = std::min(wait, wait_slice);
    if (auto message = handler_.next_message(peer_, slice)) {
      spill_.begin(message->wire().size());
      spill_.add(message->wire());
      break;
    }
    wait -= slice;
    if (wait <= milliseconds(0) || stopping_) return answer(Answer::nothing, {});
  }
  answer_spilled();
}

void TlsConnection::fetch_blocks(const BlockRange& range) {
  for (std::uint64_t position = range.first; position < range.last && !stopping_; ++position) {
    {
      auto held = budget_.reserve(copies_per_frame * handler_.largest_frame_bytes(range.exchange));
      Envelope frame = handler_.aggregate_block(peer_, range.exchange, position);
      spill_.begin(frame.wire().size());
      spill_.add(frame.wire());
    }
    answer_spilled();
  }
}

void TlsConnection::answer(Answer kind, ByteView payload) {
  Bytes bytes = frame_head(static_cast<std::uint8_t>(kind), payload.size());
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  stream_.write(bytes, limits_.stall);
}

void TlsConnection::answer_spilled() {
  stream_.write(frame_head(static_cast<std::uint8_t>(Answer::done), spill_.size()), limits_.stall);
  Bytes piece(std::min<std::uint64_t>(spill_.size(), piece_bytes));
  for (std::uint64_t at = 0; at < spill_.size();) {
    ByteSpan part =
        ByteSpan(piece).first(std::min<std::uint64_t>(spill_.size() - at, piece.size()));
    spill_.read(at, part);
    stream_.write(part, limits_.stall);
    at += part.size();
  }
}

}  // namespace concordat::border
