#include "concordat/train/gradient_reducer.hpp"

#include <algorithm>

#include "concordat/device/ops/elementwise.hpp"

namespace concordat::train {

using comm::ReduceOp;
using parallel::Axis;

GradientReducer::GradientReducer(parallel::ProcessMesh& mesh, device::Exec& exec,
                                 const std::vector<parallel::ParameterSpec>& specs,
                                 const model::ParameterSet& set, const Ownership& ownership,
                                 bool overlaps)
    : mesh_(mesh),
      exec_(exec),
      set_(set),
      ownership_(ownership),
      shared_(set.buckets().size()),
      deferred_(set.buckets().size(), false) {
  // All ranks walk the same list, so they split the same groups in the same order.
  for (const auto& spec : specs) add_shared(spec);
  bool any = mesh.replicas().size() > 1;
  for (const auto& list : shared_) any = any || !list.empty();
  if (overlaps && any) side_ = exec.backend.make_message_stream();
}

void GradientReducer::add_shared(const parallel::ParameterSpec& spec) {
  std::vector<comm::Communicator*> groups;
  const int tp = mesh_.shape().tp;
  const int sharers = parallel::sharers(spec, tp);
  if (sharers > 1) {
    auto& group = sharer_groups_[sharers];
    const int rank = mesh_.coords().tp;
    if (!group) group = mesh_.axis(Axis::tp).split(rank / sharers, rank);
    groups.push_back(group.get());
  }
  if (spec.gradient_summed_over.tp && tp > 1) groups.push_back(&mesh_.axis(Axis::tp));
  const bool held = parallel::holds(spec, mesh_.coords());
  const bool over_stages = spec.gradient_summed_over.pp && spec.stages.size() > 1;
  if (over_stages) {
    // One tensor of a model at most: the tied table.
    if (!ends_) ends_ = mesh_.axis(Axis::pp).split(held ? 0 : 1, mesh_.coords().pp);
    groups.push_back(ends_.get());
  }
  if (!held) return;
  const model::LocalTensor& tensor = set_.tensor(spec.name);
  for (const model::Bucket& bucket : set_.buckets()) {
    if (tensor.begin < bucket.begin || tensor.begin >= bucket.begin + bucket.count) continue;
    const auto index = static_cast<std::size_t>(bucket.index);
    for (comm::Communicator* group : groups) {
      shared_[index].push_back({group, tensor.begin, tensor.count});
    }
    if (over_stages) deferred_[index] = true;
  }
}

void GradientReducer::fold(const model::Weight& weight, const model::GroupPlace& place) {
  for (int i = 0; i < place.folds; ++i) {
    const auto from = static_cast<std::size_t>(place.depth - i);
    const Tensor& into = weight.gradients[from - 1];
    device::add(exec_, into, into, weight.gradients[from]);
  }
}

void GradientReducer::reduce(const model::Bucket& bucket) {
  ++num_given_;
  if (!deferred_[static_cast<std::size_t>(bucket.index)]) start(bucket);
}

void GradientReducer::start(const model::Bucket& bucket) {
  Stream& stream = side_ ? *side_ : exec_.stream;
  if (side_) side_->wait(exec_.stream.record());
  comm::Communicator& replicas = mesh_.replicas();
  // The two ends of a pipeline cut their buckets differently, so a tied table is summed as a whole.
  const bool whole = !ownership_.shared() || deferred_[static_cast<std::size_t>(bucket.index)];
  handles_.push_back(whole ? replicas.all_reduce(bucket.gradient, ReduceOp::sum, stream)
                           : replicas.reduce_parts(bucket.gradient, ownership_.bounds(bucket.index),
                                                   ReduceOp::sum, stream));
  const auto [first, last] =
      whole ? std::pair(std::int64_t{0}, bucket.count) : ownership_.mine(bucket.index);
  for (const Shared& part : shared_[static_cast<std::size_t>(bucket.index)]) {
    const std::int64_t begin = std::max(part.begin, bucket.begin + first);
    const std::int64_t end = std::min(part.begin + part.count, bucket.begin + last);
    if (begin >= end) continue;  // on all of the group alike
    handles_.push_back(
        part.group->all_reduce(set_.flat_gradient(begin, end - begin), ReduceOp::sum, stream));
  }
}

void GradientReducer::add_beside() {
  for (const model::Weight& weight : set_.weights()) {
    if (!weight.beside) continue;
    mesh_.replicas().all_reduce(weight.gradient(), ReduceOp::sum, exec_.stream);
    const model::LocalTensor& first =
        set_.tensors()[static_cast<std::size_t>(weight.members.front())];
    const Tensor into = set_.flat_gradient(first.begin, weight.gradient().size());
    device::add(exec_, into, into, weight.gradient().reshape({weight.gradient().size()}));
  }
}

void GradientReducer::finish() {
  CONCORDAT_REQUIRE(
      num_given_ == deferred_.size(),
      std::to_string(num_given_) + " of " + std::to_string(deferred_.size()) + " buckets");
  num_given_ = 0;
  for (const model::Bucket& bucket : set_.buckets()) {
    if (deferred_[static_cast<std::size_t>(bucket.index)]) start(bucket);
  }
  for (const comm::Handle& handle : handles_) exec_.stream.wait(handle.event());
  handles_.clear();
  add_beside();
}

}  // namespace concordat::train
