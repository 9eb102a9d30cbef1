// The schedule on paper: runs every stage's list against time, messages and dependencies.
#include "concordat/train/schedule_check.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

#include "concordat/core/error.hpp"

namespace concordat::train {

namespace {

struct Message {
  MicroBatch micro_batch;
  int part;  ///< that it is for
  double at;
};

class Paper {
 public:
  Paper(const Schedule& schedule, const CallClock& time)
      : schedule_(schedule),
        time_(time),
        split_(schedule.split()),
        stages_(static_cast<std::size_t>(schedule.num_stages())) {}

  ScheduleReport run() {
    bool moved = true;
    while (moved) {
      moved = false;
      for (int stage = 0; stage < split_.stages; ++stage) {
        while (advance(stage)) moved = true;
      }
    }
    for (int stage = 0; stage < split_.stages; ++stage) finished(stage);
    for (const auto& [wire, messages] : wires_) {
      CONCORDAT_REQUIRE(messages.empty(), "stage " + std::to_string(std::get<1>(wire)) +
                                              " never receives what stage " +
                                              std::to_string(std::get<0>(wire)) + " sent");
    }
    return report();
  }

 private:
  using Wire = std::tuple<int, int, bool>;  // sender, receiver, forward or backward
  struct StageState {
    std::size_t next = 0;
    double clock = 0.0;
    double busy = 0.0;
    std::set<Call> done;
    int in_flight = 0;
    int peak = 0;
    std::vector<TimedCall> timeline;
  };

  StageState& state(int stage) { return stages_[static_cast<std::size_t>(stage)]; }
  const StageState& state(int stage) const { return stages_[static_cast<std::size_t>(stage)]; }

  bool advance(int stage) {
    StageState& here = state(stage);
    const auto& calls = schedule_.calls(Stage(stage));
    if (here.next == calls.size()) return false;
    const Call call = calls[here.next];
    need(call.micro_batch.value() >= 0 &&
             call.micro_batch.value() < schedule_.num_micro_batches() && call.chunk.value() >= 0 &&
             call.chunk.value() < split_.chunks,
         stage, call, "is of no micro-batch and chunk of the schedule");
    if (!perform(stage, call)) return false;
    need(here.done.insert(call).second, stage, call, "comes twice");
    ++here.next;
    return true;
  }

  /// False when the call has to wait for a message.
  bool perform(int stage, const Call& call) {
    const int part = split_.part_of(stage, call.chunk);
    switch (call.kind) {
      case CallKind::forward:
        need(has_from(part - 1, stage, call, CallKind::forward, CallKind::recv_forward), stage,
             call, "has no input");
        state(stage).peak = std::max(state(stage).peak, ++state(stage).in_flight);
        break;
      case CallKind::backward_input:
        need(has(stage, CallKind::forward, call), stage, call, "comes before its forward");
        need(has_from(part + 1, stage, call, CallKind::backward_input, CallKind::recv_backward),
             stage, call, "has no gradient");
        break;
      case CallKind::backward_weight:
        need(has(stage, CallKind::backward_input, call), stage, call, "comes before its B");
        --state(stage).in_flight;
        break;
      case CallKind::send_forward:
        need(elsewhere(part + 1, stage) && has(stage, CallKind::forward, call), stage, call,
             "has nothing to send");
        spend(stage, call);
        return send(stage, part + 1, true, call);
      case CallKind::send_backward:
        need(elsewhere(part - 1, stage) && has(stage, CallKind::backward_input, call), stage, call,
             "has nothing to send");
        spend(stage, call);
        return send(stage, part - 1, false, call);
      case CallKind::recv_forward:
        need(elsewhere(part - 1, stage), stage, call, "has no previous stage");
        if (!receive(stage, part - 1, true, call)) return false;
        break;
      case CallKind::recv_backward:
        need(elsewhere(part + 1, stage), stage, call, "has no next stage");
        if (!receive(stage, part + 1, false, call)) return false;
        break;
    }
    spend(stage, call);
    return true;
  }

  void spend(int stage, const Call& call) {
    StageState& here = state(stage);
    const double begin = here.clock;
    const double time = time_(Stage(stage), call);
    here.clock += time;
    here.busy += time;
    if (call.kind <= CallKind::backward_weight) {
      here.timeline.push_back({call, begin, here.clock});
    }
  }

  bool send(int stage, int to_part, bool forward, const Call& call) {
    wires_[{stage, split_.stage_of(to_part), forward}].push_back(
        {call.micro_batch, to_part, state(stage).clock});
    return true;
  }

  bool receive(int stage, int from_part, bool forward, const Call& call) {
    auto& wire = wires_[{split_.stage_of(from_part), stage, forward}];
    if (wire.empty()) return false;
    const Message message = wire.front();
    need(message.micro_batch == call.micro_batch &&
             message.part == split_.part_of(stage, call.chunk),
         stage, call, "meets a message of another micro-batch or part");
    state(stage).clock = std::max(state(stage).clock, message.at);
    wire.pop_front();
    return true;
  }

  bool inside(int part) const { return part >= 0 && part < split_.num_parts(); }
  bool elsewhere(int part, int stage) const {
    return inside(part) && split_.stage_of(part) != stage;
  }
  bool has(int stage, CallKind kind, const Call& like) const {
    return state(stage).done.contains({kind, like.micro_batch, like.chunk});
  }
  /// Whether what the neighbouring part makes for `call` is here: made here, or received.
  bool has_from(int part, int stage, const Call& call, CallKind made, CallKind received) const {
    if (!inside(part)) return true;
    if (elsewhere(part, stage)) return has(stage, received, call);
    return state(stage).done.contains({made, call.micro_batch, split_.chunk_of(part)});
  }

  void finished(int stage) const {
    const auto& calls = schedule_.calls(Stage(stage));
    if (state(stage).next < calls.size()) {
      need(false, stage, calls[state(stage).next], "waits for ever");
    }
    for (int m = 0; m < schedule_.num_micro_batches(); ++m) {
      for (int c = 0; c < split_.chunks; ++c) {
        for (auto kind : {CallKind::forward, CallKind::backward_input, CallKind::backward_weight}) {
          const Call call{kind, MicroBatch(m), Chunk(c)};
          need(state(stage).done.contains(call), stage, call, "is missing");
        }
      }
    }
  }

  ScheduleReport report() {
    ScheduleReport result;
    for (StageState& stage : stages_) {
      result.duration = std::max(result.duration, stage.clock);
      result.busy += stage.busy;
      result.peak_in_flight.push_back(stage.peak);
      result.timeline.push_back(std::move(stage.timeline));
    }
    const double idle = result.duration * split_.stages - result.busy;
    result.bubble = result.busy > 0.0 ? idle / result.busy : 0.0;
    return result;
  }

  static void need(bool good, int stage, const Call& call, const char* complaint) {
    if (good) return;
    throw Bug("schedule: stage " + std::to_string(stage) + ": " + to_string(call) + " " +
              complaint);
  }

  const Schedule& schedule_;
  const CallClock& time_;
  PipelineSplit split_;
  std::vector<StageState> stages_;
  std::map<Wire, std::deque<Message>> wires_;
};

}  // namespace

CallClock uniform_clock(const CallTimes& times, int chunks) {
  CONCORDAT_REQUIRE(chunks > 0, std::to_string(chunks));
  return [times, chunks](Stage, const Call& call) {
    switch (call.kind) {
      case CallKind::forward:
        return times.forward / chunks;
      case CallKind::backward_input:
        return times.backward_input / chunks;
      case CallKind::backward_weight:
        return times.backward_weight / chunks;
      default:
        return 0.0;
    }
  };
}

ScheduleReport check(const Schedule& schedule, const CallClock& clock) {
  return Paper(schedule, clock).run();
}

ScheduleReport check(const Schedule& schedule, const CallTimes& times) {
  return check(schedule, uniform_clock(times, schedule.split().chunks));
}

double peak_micro_batches(const ScheduleReport& report, int chunks) {
  const auto& peaks = report.peak_in_flight;
  return static_cast<double>(*std::max_element(peaks.begin(), peaks.end())) / chunks;
}

}  // namespace concordat::train
