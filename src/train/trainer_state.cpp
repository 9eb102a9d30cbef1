// The trainer's state from and to the host.
#include "concordat/device/pending.hpp"
#include "concordat/train/trainer.hpp"

namespace concordat::train {

namespace {
void to_host(device::Exec& exec, const Tensor& host, const Tensor& from) {
  CONCORDAT_REQUIRE(host.place() == Place::host && host.contiguous() && host.size() == from.size(),
                    concordat::to_string(host.shape()));
  device::read_bytes(exec, from, host.raw_bytes(), host.storage()).wait();
}

}  // namespace

void Trainer::read_weights(const Tensor& host) {
  to_host(exec_, host, optimizer_.whole(exec_, optimizer_.master()));
}

void Trainer::write_weights(const Tensor& host) {
  optimizer_.assign(exec_, optimizer_.master(), host);
  optimizer_.refresh_compute(exec_);
}

MemoryEstimate Trainer::memory_in_use() const {
  MemoryEstimate now;
  const bool one_copy = optimizer_.one_copy();
  now.weights = one_copy ? 0 : 4 * optimizer_.master().size();
  for (const model::LocalTensor& tensor : stage_.parameters().tensors()) {
    now.weights += tensor.count * static_cast<std::int64_t>(size_of(tensor.compute));
  }
  now.gradients = stage_.parameters().gradient_bytes();
  now.optimizer = 8 * optimizer_.master().size();
  now.activations = static_cast<std::int64_t>(stage_.pool().allocated_bytes());
  now.copies = static_cast<std::int64_t>(exec_.backend.weight_copy_bytes());
  now.scratch = static_cast<std::int64_t>(exec_.arena.capacity_bytes());
  return now;
}

HostState Trainer::make_state() const {
  return HostState(stage_.specs(), mesh_.shape(), mesh_.coords());
}

void Trainer::read_state(HostState& state) {
  read_weights(state.weights());
  to_host(exec_, state.m(), optimizer_.whole(exec_, optimizer_.m()));
  to_host(exec_, state.v(), optimizer_.whole(exec_, optimizer_.v()));
}

HostState Trainer::state_to_copy(HostState& state) {
  const auto on_host = [&](const Tensor& mine, const Tensor& host) {
    const Tensor all = optimizer_.whole(exec_, mine);
    const bool whole_here = all.storage() == mine.storage() && all.place() == Place::host &&
                            all.contiguous() && all.size() == host.size();
    if (whole_here) return all;
    to_host(exec_, host, all);
    return host;
  };
  const Tensor weights = on_host(optimizer_.master(), state.weights());
  const Tensor m = on_host(optimizer_.m(), state.m());
  const Tensor v = on_host(optimizer_.v(), state.v());
  exec_.stream.synchronize();
  return {stage_.specs(), mesh_.shape(), mesh_.coords(), weights, m, v};
}

void Trainer::write_state(const HostState& state, std::int64_t next_step) {
  write_weights(state.weights());
  optimizer_.assign(exec_, optimizer_.m(), state.m());
  optimizer_.assign(exec_, optimizer_.v(), state.v());
  next_step_ = next_step;
}

}  // namespace concordat::train
