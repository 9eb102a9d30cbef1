// What the letters of the mpi road hold: docs/formats/mpi-road.md. The requests, their bounds and
// their answers are those of road_protocol.hpp.
#pragma once

#include "border/road_protocol.hpp"
#include "concordat/comm/interlink.hpp"

namespace concordat::border {

/// Letters without a number: nothing answers them.
enum class Notice : std::uint8_t {
  open = 16,     ///< downward, u32 term: the coordinator answers requests of this term
  closed = 17,   ///< downward: it answers nothing any more; what is unanswered has no answer
  hello = 32,    ///< upward: a border is there; `open` answers it
  goodbye = 33,  ///< upward: it will ask nothing more
};

/// A request's number: the term it was made for, and its place; an answer has its request's.
constexpr std::uint64_t letter_number(std::uint32_t term, std::uint32_t sequence) {
  return (std::uint64_t{term} << 32U) | sequence;
}

/// One byte of kind, then the payload.
inline Bytes letter_of(std::uint8_t kind, ByteView payload) {
  Bytes bytes;
  bytes.reserve(1 + payload.size());
  bytes.push_back(kind);
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

/// So that stop() and the process's own stop requests are seen soon.
inline constexpr std::chrono::milliseconds letter_slice{50};

}  // namespace concordat::border
