// Streams order work; events join streams. Stream order is the only order.
//
//   Event done = compute.record();   // a point in compute's order
//   copy.wait(done);                 // what copy runs next comes after that point
//   copy.synchronize();              // the host waits for everything in copy
//
// Threads: a Stream is used by one host thread; an Event may be waited for by any.
// Failure: work that throws poisons its stream; synchronize() rethrows the first exception.
#pragma once

#include <functional>
#include <memory>

namespace concordat {

/// Completion of a point in a stream. Copies share it. A default Event has already happened.
class Event {
 public:
  class State {
   public:
    virtual ~State() = default;
    virtual bool happened() const = 0;
    virtual void wait() = 0;
  };
  Event() = default;
  explicit Event(std::shared_ptr<State> state) : state_(std::move(state)) {}
  bool happened() const { return !state_ || state_->happened(); }
  /// Blocks the host. Only at the edges of a step, never inside ops.
  void wait() const {
    if (state_) state_->wait();
  }
  /// For streams that know their own events, to wait for them without the host. Null: happened.
  const std::shared_ptr<State>& state() const { return state_; }

 private:
  std::shared_ptr<State> state_;
};

class Stream {
 public:
  virtual ~Stream() = default;
  /// Runs `work` on the host after everything enqueued before it. The `cpu` stream runs it now.
  virtual void enqueue(std::function<void()> work) = 0;
  virtual Event record() = 0;
  virtual void wait(const Event& event) = 0;
  virtual void synchronize() = 0;
};

/// The stream of the host: work completes before enqueue returns.
class InlineStream final : public Stream {
 public:
  void enqueue(std::function<void()> work) override { work(); }
  Event record() override { return Event(); }
  void wait(const Event& event) override { event.wait(); }
  void synchronize() override {}
};

}  // namespace concordat
