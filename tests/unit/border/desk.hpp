// A coordinator's desk in memory: what road tests deliver to and fetch from.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "concordat/border/road.hpp"
#include "concordat/crypto/hash.hpp"
#include "unit/border/fixture.hpp"

namespace concordat::border::testing {

class Desk : public RoadHandler {
 public:
  explicit Desk(World& world) : world_(world) {}

  void accept_message(SiteId road_peer, ByteView wire) override {
    OpenedMessage message = world_.open(wire);
    std::lock_guard lock(mutex);
    messages.push_back(message);
    peers_of_messages.push_back(road_peer);
  }
  std::optional<Envelope> next_message(SiteId to, std::chrono::milliseconds wait) override {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, wait, [&] { return !queues[to].empty(); });
    if (queues[to].empty()) return std::nullopt;
    return restore_message(queues[to].front(), world_.identity(coordinator_id), world_.peers);
  }
  void acknowledged(SiteId by, const Digest& message) override {
    std::lock_guard lock(mutex);
    auto& queue = queues[by];
    if (!queue.empty() && crypto::sha256(queue.front()) == message) queue.pop_front();
  }
  std::uint64_t upload_position(SiteId of, const ExchangeId&) override {
    std::lock_guard lock(mutex);
    return durable[of];
  }
  void accept_block(SiteId road_peer, ByteView wire) override {
    std::lock_guard lock(mutex);
    if (!opener) {
      throw Error(errors::no_header, {.what = "a block frame without its header"});
    }
    OpenedBlock block = opener->open(wire);
    auto& kept = blocks[road_peer];
    // A repeated frame changes nothing, also when it comes from a connection that was lost.
    const auto same = [&](const OpenedBlock& one) { return one.place == block.place; };
    if (std::ranges::none_of(kept, same)) kept.push_back(std::move(block));
  }
  std::uint64_t flush_blocks(SiteId of, const ExchangeId&) override {
    std::lock_guard lock(mutex);
    return durable[of] = blocks[of].size();
  }
  std::uint64_t largest_frame_bytes(const ExchangeId&) override { return max_frame_wire_bytes(); }
  Envelope aggregate_block(SiteId, const ExchangeId&, std::uint64_t position) override {
    const Upload& sum = *aggregate;
    return sealer->seal(sum.table.place(position), sum.blocks.at(position),
                        crypto::inclusion_path(sum.leaves, position));
  }
  void post(SiteId to, ByteView wire) {
    {
      std::lock_guard lock(mutex);
      queues[to].push_back(copy(wire));
    }
    changed.notify_all();
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<OpenedMessage> messages;
  std::vector<SiteId> peers_of_messages;
  std::map<SiteId, std::deque<Bytes>> queues;
  std::map<SiteId, std::vector<OpenedBlock>> blocks;
  std::map<SiteId, std::uint64_t> durable;
  std::optional<FrameOpener> opener;
  std::optional<FrameSealer> sealer;
  const Upload* aggregate = nullptr;

 private:
  World& world_;
};

/// A handler before another one: what a test changes it overrides.
class PassOn : public RoadHandler {
 public:
  explicit PassOn(RoadHandler& handler) : handler_(handler) {}
  void accept_message(SiteId peer, ByteView wire) override { handler_.accept_message(peer, wire); }
  std::optional<Envelope> next_message(SiteId to, std::chrono::milliseconds wait) override {
    return handler_.next_message(to, wait);
  }
  void acknowledged(SiteId by, const Digest& message) override {
    handler_.acknowledged(by, message);
  }
  std::uint64_t upload_position(SiteId of, const ExchangeId& exchange) override {
    return handler_.upload_position(of, exchange);
  }
  void accept_block(SiteId peer, ByteView wire) override { handler_.accept_block(peer, wire); }
  std::uint64_t flush_blocks(SiteId of, const ExchangeId& exchange) override {
    return handler_.flush_blocks(of, exchange);
  }
  std::uint64_t largest_frame_bytes(const ExchangeId& exchange) override {
    return handler_.largest_frame_bytes(exchange);
  }
  Envelope aggregate_block(SiteId to, const ExchangeId& exchange, std::uint64_t position) override {
    return handler_.aggregate_block(to, exchange, position);
  }

 private:
  RoadHandler& handler_;
};

}  // namespace concordat::border::testing
