#include "concordat/train/executor.hpp"

#include <algorithm>

namespace concordat::train {

namespace {

// Messages between two stages arrive in order, so one tag a direction is enough.
constexpr int kForwardTag = 1;
constexpr int kBackwardTag = 2;

/// Tensors on their way between a call and a send or receive, by micro-batch.
class Execution {
 public:
  Execution(model::Stage& stage, const std::vector<model::MicroBatchTensors>& batches,
            parallel::ProcessMesh& mesh, device::Exec& exec, MicroBatch last)
      : stage_(stage),
        batches_(batches),
        pipeline_(mesh.axis(parallel::Axis::pp)),
        exec_(exec),
        last_(last),
        activations_(batches.size()),
        gradients_(batches.size()) {}

  void run(const Call& call) {
    const MicroBatch m = call.micro_batch;
    const auto i = static_cast<std::size_t>(m.value());
    const int rank = pipeline_.rank();
    switch (call.kind) {
      case CallKind::recv_forward:
        activations_[i] = receive(i, rank - 1, kForwardTag);
        return;
      case CallKind::forward:
        activations_[i] = stage_.forward(m, batches_[i], activations_[i]);
        return;
      case CallKind::send_forward:
        send(activations_[i], rank + 1, kForwardTag);
        return;
      case CallKind::recv_backward:
        gradients_[i] = receive(i, rank + 1, kBackwardTag);
        return;
      case CallKind::backward_input:
        gradients_[i] = stage_.backward_input(m, gradients_[i]);
        return;
      case CallKind::send_backward:
        send(gradients_[i], rank - 1, kBackwardTag);
        return;
      case CallKind::backward_weight:
        stage_.backward_weight(m, m == last_);
        return;
    }
  }

 private:
  Tensor receive(std::size_t i, int from, int tag) {
    Tensor tensor = stage_.boundary(batches_[i].layout);
    pipeline_.recv(tensor, from, tag, exec_.stream);
    return tensor;
  }
  void send(Tensor& tensor, int to, int tag) {
    pipeline_.send(tensor, to, tag, exec_.stream);
    tensor = {};
  }

  model::Stage& stage_;
  const std::vector<model::MicroBatchTensors>& batches_;
  comm::Communicator& pipeline_;
  device::Exec& exec_;
  MicroBatch last_;
  std::vector<Tensor> activations_;
  std::vector<Tensor> gradients_;
};

}  // namespace

void execute(const std::vector<Call>& calls, model::Stage& stage,
             const std::vector<model::MicroBatchTensors>& batches, parallel::ProcessMesh& mesh,
             device::Exec& exec) {
  // Gradients are complete with the list's last W, whichever micro-batch that is.
  const auto last = std::find_if(calls.rbegin(), calls.rend(), [](const Call& call) {
    return call.kind == CallKind::backward_weight;
  });
  CONCORDAT_REQUIRE(last != calls.rend(), "a schedule without W");
  Execution execution(stage, batches, mesh, exec, last->micro_batch);
  for (const Call& call : calls) execution.run(call);
}

void evaluate(model::Stage& stage, const model::MicroBatchTensors& batch,
              parallel::ProcessMesh& mesh, device::Exec& exec) {
  comm::Communicator& pipeline = mesh.axis(parallel::Axis::pp);
  Tensor x;
  if (!stage.is_first()) {
    x = stage.boundary(batch.layout);
    pipeline.recv(x, pipeline.rank() - 1, kForwardTag, exec.stream);
  }
  const Tensor y = stage.evaluate(batch, x);
  if (!stage.is_last()) pipeline.send(y, pipeline.rank() + 1, kForwardTag, exec.stream);
}

}  // namespace concordat::train
