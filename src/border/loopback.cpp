#include "concordat/border/loopback.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <type_traits>

#include "border/road_protocol.hpp"
#include "concordat/border/errors.hpp"

namespace concordat::border {

struct LoopbackRoad::State {
  struct Faults {
    Fault fault = Fault::before;
    int left = 0;
  };
  std::shared_mutex gate;  ///< calls share it, so that stop() waits for them
  RoadHandler* handler = nullptr;
  std::mutex mutex;  ///< of what follows
  std::map<SiteId, Faults> faults;
  std::vector<SiteId> sites;

  /// @pre the caller shares the gate.
  RoadHandler& require_handler() {
    if (handler == nullptr) {
      throw Error(errors::road_down, {.what = "the coordinator does not answer",
                                      .where = "loopback road",
                                      .remedy = "try again"});
    }
    return *handler;
  }
  bool fails(SiteId id, Fault fault) {
    std::lock_guard lock(mutex);
    Faults& faults_of = faults[id];
    if (faults_of.left == 0 || faults_of.fault != fault) return false;
    --faults_of.left;
    return true;
  }
};

namespace {

constexpr std::chrono::milliseconds wait_slice{20};

[[noreturn]] void lost() {
  throw Error(errors::road_down,
              {.what = "the connection was lost", .where = "loopback road", .remedy = "try again"});
}

// The caller of a refused request learns what it would over a network.
template <typename Act>
auto as_peer(Act&& act) {
  try {
    return act();
  } catch (const Error& error) {
    if (error.code() == errors::road_down || error.code() == errors::road_stopped) throw;
    if (!is_answer(error)) lost();
    throw_refusal(encode_refusal(error), "loopback road");
  }
}

}  // namespace

class LoopbackRoad::End final : public SiteRoad {
 public:
  End(std::shared_ptr<State> state, SiteId id) : state_(std::move(state)), id_(id) {}

  void deliver(const Envelope& message) override {
    CONCORDAT_REQUIRE(message.kind() == Envelope::Kind::message, "a block");
    call([&](RoadHandler& handler) { handler.accept_message(id_, message.wire()); });
  }
  std::optional<Bytes> fetch(std::chrono::milliseconds wait) override {
    // In slices, so that a stop of either end is heard.
    while (true) {
      const std::chrono::milliseconds slice = std::min(wait, wait_slice);
      wait -= slice;
      auto found = call([&](RoadHandler& handler) -> std::optional<Bytes> {
        auto message = handler.next_message(id_, slice);
        if (!message) return std::nullopt;
        return Bytes(message->wire().begin(), message->wire().end());
      });
      if (found || wait <= std::chrono::milliseconds(0)) return found;
    }
  }
  void acknowledge(const Digest& message) override {
    call([&](RoadHandler& handler) { handler.acknowledged(id_, message); });
  }
  std::uint64_t upload_position(const ExchangeId& exchange) override {
    return call([&](RoadHandler& handler) { return handler.upload_position(id_, exchange); });
  }
  void deliver_block(const Envelope& frame) override {
    CONCORDAT_REQUIRE(frame.kind() == Envelope::Kind::block, "a message");
    call([&](RoadHandler& handler) { handler.accept_block(id_, frame.wire()); });
  }
  std::uint64_t flush_blocks(const ExchangeId& exchange) override {
    return call([&](RoadHandler& handler) { return handler.flush_blocks(id_, exchange); });
  }
  void fetch_blocks(const ExchangeId& exchange, std::uint64_t first, std::uint64_t last,
                    const std::function<void(ByteView wire)>& take) override {
    for (std::uint64_t position = first; position < last; ++position) {
      Bytes wire = call([&](RoadHandler& handler) {
        Envelope frame = handler.aggregate_block(id_, exchange, position);
        return Bytes(frame.wire().begin(), frame.wire().end());
      });
      take(wire);
    }
  }
  void stop() override { stopped_ = true; }

 private:
  template <typename Act>
  std::invoke_result_t<Act&, RoadHandler&> call(Act&& act) {
    if (stopped_) throw Error(errors::road_stopped, {.what = "the road was stopped"});
    std::shared_lock open(state_->gate);
    RoadHandler& handler = state_->require_handler();
    if (state_->fails(id_, Fault::before)) lost();
    using Result = decltype(act(handler));
    if constexpr (std::is_void_v<Result>) {
      as_peer([&] { act(handler); });
      if (state_->fails(id_, Fault::after)) lost();
    } else {
      Result result = as_peer([&] { return act(handler); });
      if (state_->fails(id_, Fault::after)) lost();
      return result;
    }
  }

  std::shared_ptr<State> state_;
  SiteId id_;
  std::atomic<bool> stopped_{false};
};

LoopbackRoad::LoopbackRoad() : state_(std::make_shared<State>()) {}
LoopbackRoad::~LoopbackRoad() { stop(); }

void LoopbackRoad::start(RoadHandler& handler) {
  std::unique_lock closed(state_->gate);
  state_->handler = &handler;
}

void LoopbackRoad::stop() {
  std::unique_lock closed(state_->gate);
  state_->handler = nullptr;
}

std::vector<SiteId> LoopbackRoad::connected() {
  std::lock_guard lock(state_->mutex);
  return state_->sites;
}

std::unique_ptr<SiteRoad> LoopbackRoad::site(SiteId id) {
  std::lock_guard lock(state_->mutex);
  if (std::find(state_->sites.begin(), state_->sites.end(), id) == state_->sites.end()) {
    state_->sites.push_back(id);
  }
  return std::make_unique<End>(state_, id);
}

void LoopbackRoad::fail_next(SiteId id, Fault fault, int count) {
  std::lock_guard lock(state_->mutex);
  state_->faults[id] = {fault, count};
}

}  // namespace concordat::border
