#include "concordat/train/executor.hpp"

#include <map>

namespace concordat::train {

namespace {

/// Tensors on their way between a call and the one that uses them, by (chunk, micro-batch).
class Execution {
 public:
  Execution(const Schedule& schedule, Stage here, PipelineWork& work)
      : split_(schedule.split()), here_(here.value()), work_(work) {
    // A chunk's gradients are complete with its last W in the list, whichever micro-batch that is.
    for (const Call& call : schedule.calls(here)) {
      if (call.kind == CallKind::backward_weight) last_[call.chunk] = call.micro_batch;
    }
    CONCORDAT_REQUIRE(last_.size() == static_cast<std::size_t>(split_.chunks),
                      "a schedule without W");
  }

  /// F, B and W of one micro-batch that are neighbours in the list, of a model in one part.
  void run_whole(const Call& call) {
    work_.forward_backward(call.micro_batch, call.micro_batch == last_.at(call.chunk));
  }

  /// B and W of one micro-batch that are neighbours in the list.
  void run_backward(const Call& call) {
    const MicroBatch m = call.micro_batch;
    const Chunk chunk = call.chunk;
    hand_on(grad_outputs_, grad_inputs_, split_.part_of(here_, chunk) - 1, call,
            work_.backward(m, chunk, take(grad_outputs_, call), m == last_.at(chunk)));
  }

  void run(const Call& call) {
    const MicroBatch m = call.micro_batch;
    const Chunk chunk = call.chunk;
    const int part = split_.part_of(here_, chunk);
    switch (call.kind) {
      case CallKind::recv_forward:
        inputs_[{chunk, m}] = work_.receive(m, stage_of(part - 1), Way::forward);
        return;
      case CallKind::forward:
        hand_on(inputs_, outputs_, part + 1, call, work_.forward(m, chunk, take(inputs_, call)));
        return;
      case CallKind::send_forward:
        work_.send(take(outputs_, call), stage_of(part + 1), Way::forward);
        return;
      case CallKind::recv_backward:
        grad_outputs_[{chunk, m}] = work_.receive(m, stage_of(part + 1), Way::backward);
        return;
      case CallKind::backward_input:
        hand_on(grad_outputs_, grad_inputs_, part - 1, call,
                work_.backward_input(m, chunk, take(grad_outputs_, call)));
        return;
      case CallKind::send_backward:
        work_.send(take(grad_inputs_, call), stage_of(part - 1), Way::backward);
        return;
      case CallKind::backward_weight:
        work_.backward_weight(m, chunk, m == last_.at(chunk));
        return;
    }
  }

 private:
  using Table = std::map<std::pair<Chunk, MicroBatch>, Tensor>;

  Stage stage_of(int part) const { return Stage(split_.stage_of(part)); }

  /// Empty where nothing came: at the model's ends.
  static Tensor take(Table& table, const Call& call) {
    const auto node = table.extract({call.chunk, call.micro_batch});
    return node.empty() ? Tensor() : std::move(node.mapped());
  }

  /// What the call made waits for its send, or is the next part's if that lies on this stage.
  void hand_on(Table& arriving, Table& leaving, int part, const Call& call, Tensor made) {
    if (part < 0 || part >= split_.num_parts()) return;
    const bool stays = split_.stage_of(part) == here_;
    const Chunk chunk = stays ? split_.chunk_of(part) : call.chunk;
    (stays ? arriving : leaving)[{chunk, call.micro_batch}] = std::move(made);
  }

  PipelineSplit split_;
  int here_;
  PipelineWork& work_;
  std::map<Chunk, MicroBatch> last_;
  Table inputs_, outputs_, grad_outputs_, grad_inputs_;
};

/// Whether B and W of one micro-batch begin here.
bool backward_at(const std::vector<Call>& calls, std::size_t i) {
  return i + 1 < calls.size() && calls[i].kind == CallKind::backward_input &&
         calls[i + 1].kind == CallKind::backward_weight &&
         calls[i + 1].micro_batch == calls[i].micro_batch && calls[i + 1].chunk == calls[i].chunk;
}

}  // namespace

void execute(const Schedule& schedule, Stage here, PipelineWork& work) {
  Execution execution(schedule, here, work);
  const auto& calls = schedule.calls(here);
  const bool whole = schedule.split().num_parts() == 1;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (whole && calls[i].kind == CallKind::forward && backward_at(calls, i + 1) &&
        calls[i + 1].micro_batch == calls[i].micro_batch) {
      execution.run_whole(calls[i]);
      i += 2;
    } else if (backward_at(calls, i)) {
      execution.run_backward(calls[i++]);
    } else {
      execution.run(calls[i]);
    }
  }
}

}  // namespace concordat::train
