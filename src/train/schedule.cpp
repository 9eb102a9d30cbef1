#include "concordat/train/schedule.hpp"

#include <algorithm>

#include "concordat/core/error.hpp"

namespace concordat::train {

namespace {

/// Appends one stage's calls with the sends and receives that its place in the pipeline needs.
class StageCalls {
 public:
  StageCalls(int stage, int stages) : first_(stage == 0), last_(stage == stages - 1) {}
  void forward(int m) {
    if (!first_) add(CallKind::recv_forward, m);
    add(CallKind::forward, m);
    if (!last_) add(CallKind::send_forward, m);
  }
  void backward(int m) {
    if (!last_) add(CallKind::recv_backward, m);
    add(CallKind::backward_input, m);
    // The neighbour waits for this gradient: it goes out before the weights' own gradient.
    if (!first_) add(CallKind::send_backward, m);
    add(CallKind::backward_weight, m);
  }
  std::vector<Call> take() { return std::move(calls_); }

 private:
  void add(CallKind kind, int m) { calls_.push_back({kind, MicroBatch(m)}); }
  bool first_;
  bool last_;
  std::vector<Call> calls_;
};

void require_sizes(int stages, int micro_batches) {
  CONCORDAT_REQUIRE(
      stages > 0 && micro_batches > 0,
      std::to_string(stages) + " stages, " + std::to_string(micro_batches) + " micro-batches");
}

}  // namespace

std::string to_string(const Call& call) {
  static constexpr const char* kNames[] = {"F", "B", "W", "sf", "rf", "sb", "rb"};
  return kNames[static_cast<int>(call.kind)] + std::to_string(call.micro_batch.value());
}

const std::vector<Call>& Schedule::calls(Stage stage) const {
  CONCORDAT_REQUIRE(stage.value() >= 0 && stage.value() < num_stages(),
                    "stage " + std::to_string(stage.value()));
  return calls_[static_cast<std::size_t>(stage.value())];
}

Schedule gpipe(int stages, int micro_batches) {
  require_sizes(stages, micro_batches);
  std::vector<std::vector<Call>> all;
  for (int stage = 0; stage < stages; ++stage) {
    StageCalls calls(stage, stages);
    for (int m = 0; m < micro_batches; ++m) calls.forward(m);
    for (int m = 0; m < micro_batches; ++m) calls.backward(m);
    all.push_back(calls.take());
  }
  return {micro_batches, std::move(all)};
}

Schedule one_f_one_b(int stages, int micro_batches) {
  require_sizes(stages, micro_batches);
  std::vector<std::vector<Call>> all;
  for (int stage = 0; stage < stages; ++stage) {
    StageCalls calls(stage, stages);
    const int warm_up = std::min(stages - 1 - stage, micro_batches);
    for (int m = 0; m < warm_up; ++m) calls.forward(m);
    for (int m = 0; m < micro_batches; ++m) {
      if (warm_up + m < micro_batches) calls.forward(warm_up + m);
      calls.backward(m);
    }
    all.push_back(calls.take());
  }
  return {micro_batches, std::move(all)};
}

}  // namespace concordat::train
