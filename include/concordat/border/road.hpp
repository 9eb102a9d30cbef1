// Roads: how envelopes travel. The site always calls (it dials out); the coordinator answers.
//
//   // a site
//   road.deliver(envelope);                          // returns once the coordinator has it durably
//   if (auto wire = road.fetch(30s)) { journal(*wire); road.acknowledge(sha256(*wire)); }
//   // the coordinator
//   class Desk : public RoadHandler { ... };
//   road->start(desk);                               // answers until stop()
//
// Only Envelopes go in, at both ends; what comes out is bytes to open and check. A road gives no
// identity to a message: the site that a connection belongs to chooses the queue, nothing else.
// Every call may be repeated; a repeated one gets the same answer.
// Failure: Error(road_down) is worth a new try, Error(peer_refused) is not, Error(road_waits) asks
// for the same call again, Error(road_stopped) after stop().
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "concordat/border/envelope.hpp"
#include "concordat/border/frames.hpp"

namespace concordat::border {

/// The end of a site. Threads: one at a time, except stop().
class SiteRoad {
 public:
  /// How a road wants to be used.
  struct Manner {
    std::uint64_t blocks_per_flush = 32;  ///< also of a range of blocks that is fetched
    /// Whether a call reaches the coordinator while it lasts. If not, calls throw
    /// Error(road_waits) until the answer is here, upload_position waits for a flush that is under
    /// way, and a call that returned nothing says nothing about the coordinator.
    bool answers_at_once = true;
  };
  virtual ~SiteRoad() = default;
  virtual Manner manner() const { return {}; }
  /// Returns when the coordinator has made the message durable. @pre a message, no block.
  virtual void deliver(const Envelope& message) = 0;
  /// The oldest message for this site that it has not acknowledged; nullopt when none comes within
  /// `wait`.
  virtual std::optional<Bytes> fetch(std::chrono::milliseconds wait) = 0;
  /// This site has the fetched message durably; it is not given again.
  virtual void acknowledge(const Digest& message) = 0;
  /// How many frames of the upload the coordinator has durably: the position to go on from.
  virtual std::uint64_t upload_position(const ExchangeId& exchange) = 0;
  /// Hands one frame over; not durable there before flush_blocks returns. @pre a block.
  virtual void deliver_block(const Envelope& frame) = 0;
  /// Returns the position up to which the coordinator has everything durably.
  virtual std::uint64_t flush_blocks(const ExchangeId& exchange) = 0;
  /// Calls `take` with the frames [first, last) of the aggregate, in order of position.
  virtual void fetch_blocks(const ExchangeId& exchange, std::uint64_t first, std::uint64_t last,
                            const std::function<void(ByteView wire)>& take) = 0;
  /// Any thread: ends waits; later calls throw Error(road_stopped).
  virtual void stop() = 0;
};

/// What the coordinator does with what arrives. Called from many threads at once, one per site.
/// An Error that is thrown is answered as a refusal with its code; the connection stays.
class RoadHandler {
 public:
  virtual ~RoadHandler() = default;
  /// Makes the message durable before it returns.
  virtual void accept_message(SiteId road_peer, ByteView wire) = 0;
  /// The oldest unacknowledged message for the site; waits up to `wait` for one.
  virtual std::optional<Envelope> next_message(SiteId to, std::chrono::milliseconds wait) = 0;
  virtual void acknowledged(SiteId by, const Digest& message) = 0;
  virtual std::uint64_t upload_position(SiteId of, const ExchangeId& exchange) = 0;
  virtual void accept_block(SiteId road_peer, ByteView wire) = 0;
  /// Makes accepted blocks durable; returns the position reached.
  virtual std::uint64_t flush_blocks(SiteId of, const ExchangeId& exchange) = 0;
  /// Most that aggregate_block returns for this exchange; reserved before it is called.
  virtual std::uint64_t largest_frame_bytes(const ExchangeId& exchange) = 0;
  virtual Envelope aggregate_block(SiteId to, const ExchangeId& exchange,
                                   std::uint64_t position) = 0;
};

/// The end of the coordinator.
class CoordinatorRoad {
 public:
  virtual ~CoordinatorRoad() = default;
  /// Answers until stop(); `handler` must outlive that. Returns at once.
  virtual void start(RoadHandler& handler) = 0;
  /// Ends waits and connections, joins threads. The handler's own waits are bounded by `wait`.
  virtual void stop() = 0;
  /// Sites that are connected now. @throws what ended the road to a site that can never come again
  /// (the mpi road), once.
  virtual std::vector<SiteId> connected() = 0;
};

}  // namespace concordat::border
