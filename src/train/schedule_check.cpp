// The schedule on paper: runs every stage's list against time, messages and dependencies.
#include <algorithm>
#include <deque>
#include <map>
#include <optional>

#include "concordat/core/error.hpp"
#include "concordat/train/schedule.hpp"

namespace concordat::train {

namespace {

struct Message {
  int micro_batch;
  double at;
};

class Paper {
 public:
  Paper(const Schedule& schedule, const CallTimes& times)
      : schedule_(schedule),
        times_(times),
        next_(static_cast<std::size_t>(schedule.num_stages()), 0),
        clock_(next_.size(), 0.0),
        done_(next_.size()),
        in_flight_(next_.size(), 0),
        peak_(next_.size(), 0) {}

  ScheduleReport run() {
    bool moved = true;
    while (moved) {
      moved = false;
      for (int stage = 0; stage < schedule_.num_stages(); ++stage) {
        while (advance(stage)) moved = true;
      }
    }
    for (int stage = 0; stage < schedule_.num_stages(); ++stage) finished(stage);
    return report();
  }

 private:
  using Channel = std::pair<int, int>;  // sender, receiver

  bool advance(int stage) {
    const auto s = static_cast<std::size_t>(stage);
    const auto& calls = schedule_.calls(Stage(stage));
    if (next_[s] == calls.size()) return false;
    const Call call = calls[next_[s]];
    if (!perform(stage, call)) return false;
    need(done_[s].insert({call, true}).second, stage, call, "comes twice");
    ++next_[s];
    return true;
  }

  /// False when the call has to wait for a message.
  bool perform(int stage, const Call& call) {
    const auto s = static_cast<std::size_t>(stage);
    const int m = call.micro_batch.value();
    const bool first = stage == 0;
    const bool last = stage == schedule_.num_stages() - 1;
    switch (call.kind) {
      case CallKind::forward:
        need(first || has(stage, CallKind::recv_forward, m), stage, call, "has no input");
        clock_[s] += times_.forward;
        peak_[s] = std::max(peak_[s], ++in_flight_[s]);
        return true;
      case CallKind::backward_input:
        need(has(stage, CallKind::forward, m), stage, call, "comes before its forward");
        need(last || has(stage, CallKind::recv_backward, m), stage, call, "has no gradient");
        clock_[s] += times_.backward_input;
        return true;
      case CallKind::backward_weight:
        need(has(stage, CallKind::backward_input, m), stage, call, "comes before its B");
        clock_[s] += times_.backward_weight;
        --in_flight_[s];
        return true;
      case CallKind::send_forward:
        need(!last && has(stage, CallKind::forward, m), stage, call, "has nothing to send");
        wires_[{stage, stage + 1}].push_back({m, clock_[s]});
        return true;
      case CallKind::send_backward:
        need(!first && has(stage, CallKind::backward_input, m), stage, call, "has nothing to send");
        wires_[{stage, stage - 1}].push_back({m, clock_[s]});
        return true;
      case CallKind::recv_forward:
        need(!first, stage, call, "has no previous stage");
        return receive(stage, stage - 1, call);
      case CallKind::recv_backward:
        need(!last, stage, call, "has no next stage");
        return receive(stage, stage + 1, call);
    }
    return false;
  }

  bool receive(int stage, int from, const Call& call) {
    auto& wire = wires_[{from, stage}];
    if (wire.empty()) return false;
    need(wire.front().micro_batch == call.micro_batch.value(), stage, call,
         "meets a message of another micro-batch");
    auto& clock = clock_[static_cast<std::size_t>(stage)];
    clock = std::max(clock, wire.front().at);
    wire.pop_front();
    return true;
  }

  bool has(int stage, CallKind kind, int m) const {
    return done_[static_cast<std::size_t>(stage)].contains({kind, MicroBatch(m)});
  }

  void finished(int stage) const {
    const auto& calls = schedule_.calls(Stage(stage));
    const std::size_t at = next_[static_cast<std::size_t>(stage)];
    if (at < calls.size()) need(false, stage, calls[at], "waits for ever");
    for (int m = 0; m < schedule_.num_micro_batches(); ++m) {
      for (auto kind : {CallKind::forward, CallKind::backward_input, CallKind::backward_weight}) {
        need(has(stage, kind, m), stage, {kind, MicroBatch(m)}, "is missing");
      }
    }
    for (const auto& [channel, wire] : wires_) {
      CONCORDAT_REQUIRE(wire.empty(), "stage " + std::to_string(channel.second) +
                                          " never receives what stage " +
                                          std::to_string(channel.first) + " sent");
    }
  }

  ScheduleReport report() const {
    ScheduleReport result;
    result.duration = *std::max_element(clock_.begin(), clock_.end());
    const double busy = schedule_.num_micro_batches() *
                        (times_.forward + times_.backward_input + times_.backward_weight);
    result.bubble = result.duration / busy - 1.0;
    result.peak_in_flight = peak_;
    return result;
  }

  static void need(bool good, int stage, const Call& call, const char* complaint) {
    if (good) return;
    throw Bug("schedule: stage " + std::to_string(stage) + ": " + to_string(call) + " " +
              complaint);
  }

  const Schedule& schedule_;
  CallTimes times_;
  std::vector<std::size_t> next_;
  std::vector<double> clock_;
  std::vector<std::map<Call, bool>> done_;
  std::vector<int> in_flight_;
  std::vector<int> peak_;
  std::map<Channel, std::deque<Message>> wires_;
};

}  // namespace

ScheduleReport check(const Schedule& schedule, const CallTimes& times) {
  return Paper(schedule, times).run();
}

}  // namespace concordat::train
