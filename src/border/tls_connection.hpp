// One site's connection at the coordinator: reads requests, asks the handler, writes answers.
#pragma once

#include <atomic>

#include "border/road_protocol.hpp"
#include "border/spill.hpp"
#include "border/tls_stream.hpp"
#include "concordat/border/budget.hpp"

namespace concordat::border {

struct ConnectionLimits {
  std::chrono::milliseconds idle;   ///< longest pause between two requests
  std::chrono::milliseconds stall;  ///< longest pause inside one
};

class TlsConnection {
 public:
  TlsConnection(TlsStream& stream, SiteId peer, RoadHandler& handler, ByteBudget& budget,
                Spill& spill, ConnectionLimits limits, const std::atomic<bool>& stopping)
      : stream_(stream),
        peer_(peer),
        handler_(handler),
        budget_(budget),
        spill_(spill),
        limits_(limits),
        stopping_(stopping) {}

  /// Serves until the connection ends. @throws Error(road_down | road_abused).
  void serve();

 private:
  void serve_one();
  void receive(std::uint64_t length);
  template <typename Act>
  void with_payload(Act&& act);
  void act_on(Request request);
  void fetch(std::chrono::milliseconds wait);
  void fetch_blocks(const BlockRange& range);
  void answer(Answer kind, ByteView payload);
  void answer_spilled();

  TlsStream& stream_;
  SiteId peer_;
  RoadHandler& handler_;
  ByteBudget& budget_;
  Spill& spill_;
  ConnectionLimits limits_;
  const std::atomic<bool>& stopping_;
  Bytes block_refusal_;  ///< of the first block since the last flush; empty: none
};

}  // namespace concordat::border
