// The executor in virtual time: a stage whose calls only move a clock, over real messages between
// ranks, ends when the simulator says. Rank counts: 1, 2, 3, 4.
#include "concordat/train/executor.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

#include "concordat/comm/threads.hpp"
#include "concordat/core/error.hpp"
#include "concordat/train/errors.hpp"
#include "concordat/train/schedule_check.hpp"

namespace concordat::train {
namespace {

/// Tensors are [time, part, micro-batch]: when it was sent, the part that made it and for what.
class ClockWork : public PipelineWork {
 public:
  ClockWork(const PipelineSplit& split, comm::Communicator& comm, CallClock time)
      : split_(split), comm_(comm), time_(std::move(time)) {}

  Tensor forward(MicroBatch m, Chunk chunk, const Tensor& x) override {
    const int part = split_.part_of(comm_.rank(), chunk);
    expect_from(part == 0 ? -1 : part - 1, m, x);
    peak_ = std::max(peak_, ++in_flight_);
    spend({CallKind::forward, m, chunk});
    return part + 1 == split_.num_parts() ? Tensor() : make(part, m);
  }
  Tensor backward_input(MicroBatch m, Chunk chunk, const Tensor& grad_y) override {
    const int part = split_.part_of(comm_.rank(), chunk);
    expect_from(part + 1 == split_.num_parts() ? -1 : part + 1, m, grad_y);
    spend({CallKind::backward_input, m, chunk});
    return part == 0 ? Tensor() : make(part, m);
  }
  void backward_weight(MicroBatch m, Chunk chunk, bool last) override {
    --in_flight_;
    spend({CallKind::backward_weight, m, chunk});
    EXPECT_FALSE(complete_.contains(chunk)) << "a W after the one that was called the last";
    if (last) complete_.insert(chunk);
  }
  void send(const Tensor& tensor, Stage to, Way way) override {
    tensor.span<double>()[0] = clock_;
    comm_.send(tensor, to.value(), way == Way::forward ? 1 : 2, stream_);
  }
  Tensor receive(MicroBatch, Stage from, Way way) override {
    Tensor tensor = host_tensor(Dtype::f64, {3});
    comm_.recv(tensor, from.value(), way == Way::forward ? 1 : 2, stream_);
    clock_ = std::max(clock_, tensor.span<double>()[0]);
    return tensor;
  }

  double clock() const { return clock_; }
  double busy() const { return busy_; }
  int peak() const { return peak_; }
  std::size_t num_complete() const { return complete_.size(); }

 private:
  static void expect_from(int part, MicroBatch m, const Tensor& tensor) {
    ASSERT_EQ(tensor.empty(), part < 0);
    if (part < 0) return;
    EXPECT_EQ(tensor.span<double>()[1], part);
    EXPECT_EQ(tensor.span<double>()[2], m.value());
  }
  Tensor make(int part, MicroBatch m) const {
    Tensor tensor = host_tensor(Dtype::f64, {3});
    tensor.span<double>()[1] = part;
    tensor.span<double>()[2] = m.value();
    return tensor;
  }
  void spend(const Call& call) {
    const double time = time_(Stage(comm_.rank()), call);
    clock_ += time;
    busy_ += time;
  }

  PipelineSplit split_;
  comm::Communicator& comm_;
  CallClock time_;
  InlineStream stream_;
  double clock_ = 0.0;
  double busy_ = 0.0;
  int in_flight_ = 0;
  int peak_ = 0;
  std::set<Chunk> complete_;
};

void expect_the_simulators_bubble(const std::string& name, int p, int m, int v,
                                  const CallTimes& times) {
  SCOPED_TRACE(name + " p=" + std::to_string(p) + " m=" + std::to_string(m) +
               " v=" + std::to_string(v));
  const Schedule schedule = schedule_named(name, p, m, v);
  const ScheduleReport expected = check(schedule, times);
  std::vector<double> clocks(static_cast<std::size_t>(p));
  std::vector<double> busy(clocks.size());
  comm::run_threads(p, [&](comm::Communicator& comm) {
    ClockWork work(schedule.split(), comm, uniform_clock(times, v));
    execute(schedule, Stage(comm.rank()), work);
    const auto s = static_cast<std::size_t>(comm.rank());
    clocks[s] = work.clock();
    busy[s] = work.busy();
    EXPECT_EQ(work.clock(), expected.timeline[s].back().end);
    EXPECT_EQ(work.peak(), expected.peak_in_flight[s]);
    EXPECT_EQ(work.num_complete(), static_cast<std::size_t>(v));
  });
  // The same additions in the same order: equal to the last bit.
  const double duration = *std::max_element(clocks.begin(), clocks.end());
  double total = 0.0;
  for (const double stage : busy) total += stage;
  EXPECT_EQ(duration, expected.duration);
  EXPECT_EQ((duration * p - total) / total, expected.bubble);
}

TEST(ExecutorInVirtualTime, EverySchedulesBubbleIsTheSimulators) {
  for (const CallTimes& times : {CallTimes{1, 1, 1}, CallTimes{0.3, 0.7, 0.45}}) {
    for (const int p : {1, 2, 3, 4}) {
      for (const int m : {1, 4, 5, 12}) {
        for (const char* name : {"gpipe", "1f1b", "zb-h1"}) {
          expect_the_simulators_bubble(name, p, m, 1, times);
        }
        if (m % p != 0) continue;
        expect_the_simulators_bubble("interleaved", p, m, 2, times);
        expect_the_simulators_bubble("interleaved", p, m, 3, times);
      }
    }
  }
}

/// Fails in the backward of micro-batch 1.
class FailingWork final : public ClockWork {
 public:
  using ClockWork::ClockWork;
  Tensor backward_input(MicroBatch m, Chunk chunk, const Tensor& grad_y) override {
    if (m.value() == 1) {
      throw Error(errors::bad_settings, {.what = "out of luck",
                                         .where = "stage 1",
                                         .found = "micro-batch 1",
                                         .expected = "another",
                                         .remedy = "none"});
    }
    return ClockWork::backward_input(m, chunk, grad_y);
  }
};

TEST(ExecutorInVirtualTime, AStageThatThrowsReachesTheOthersUnderEverySchedule) {
  for (const auto& [name, chunks] :
       {std::pair{"gpipe", 1}, {"1f1b", 1}, {"zb-h1", 1}, {"interleaved", 2}}) {
    const Schedule schedule = schedule_named(name, 3, 6, chunks);
    std::array<std::string, 3> ended;
    const auto rank_main = [&](comm::Communicator& comm) {
      const auto clock = uniform_clock({}, schedule.split().chunks);
      ClockWork good(schedule.split(), comm, clock);
      FailingWork bad(schedule.split(), comm, clock);
      try {
        execute(schedule, Stage(comm.rank()), comm.rank() == 1 ? bad : good);
      } catch (const Error& error) {
        ended[static_cast<std::size_t>(comm.rank())] =
            std::string(error.code().name) + " " + error.what();
        throw;
      }
    };
    EXPECT_THROW(comm::run_threads(3, rank_main), Error) << name;
    EXPECT_TRUE(ended[1].starts_with("train.bad_settings")) << name << ": " << ended[1];
    for (const int other : {0, 2}) {
      const std::string& text = ended[static_cast<std::size_t>(other)];
      // Stage 2 waits for forwards alone and may be done with them.
      if (other == 2 && text.empty()) continue;
      EXPECT_TRUE(text.starts_with("comm.peer_failed")) << name << ": " << text;
      EXPECT_NE(text.find("rank 1"), std::string::npos) << name << ": " << text;
    }
  }
}

TEST(ExecutorInVirtualTime, AListWithoutWIsRefused) {
  comm::run_threads(1, [](comm::Communicator& comm) {
    const Schedule schedule(1, {{{CallKind::forward, MicroBatch(0)}}});
    ClockWork work(schedule.split(), comm, uniform_clock({}, 1));
    EXPECT_THROW(execute(schedule, Stage(0), work), Bug);
  });
}

}  // namespace
}  // namespace concordat::train
