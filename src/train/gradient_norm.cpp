#include "concordat/train/gradient_norm.hpp"

#include <algorithm>

#include "concordat/device/ops/elementwise.hpp"
#include "concordat/device/ops/optimizer.hpp"

namespace concordat::train {

namespace {
std::int64_t blocks_of(std::int64_t elements, std::int64_t block) {
  return (elements + block - 1) / block;
}

/// Elements of a tp rank's shard, the same on all of them; also of tensors that other stages hold.
std::int64_t shard_elements(const parallel::ParameterSpec& spec,
                            const parallel::ProcessMesh& mesh) {
  Shape shape = spec.shape;
  if (spec.shard_axis) {
    shape[static_cast<std::size_t>(*spec.shard_axis)] =
        parallel::shard_range(spec, mesh.shape().tp, mesh.coords().tp).padded;
  }
  return num_elements(shape);
}
}  // namespace

GradientNorm::GradientNorm(device::Exec& exec, const std::vector<parallel::ParameterSpec>& specs,
                           const model::ParameterSet& set, parallel::ProcessMesh& mesh,
                           const Ownership& ownership, std::int64_t block)
    : set_(set), mesh_(mesh), shared_(ownership.shared()), block_(block) {
  std::vector<std::int64_t> first;
  std::int64_t blocks = 0;
  for (const auto& spec : specs) {
    first.push_back(blocks);
    blocks += blocks_of(shard_elements(spec, mesh), block);
  }
  for (const model::LocalTensor& tensor : set.tensors()) {
    if (!tensor.counted) continue;
    for (const Ownership::Part& part : ownership.parts()) {
      const std::int64_t begin = std::max(tensor.begin, part.begin);
      const std::int64_t end = std::min(tensor.begin + tensor.count, part.begin + part.count);
      if (begin >= end) continue;
      const std::int64_t inside = begin - tensor.begin;
      CONCORDAT_REQUIRE(inside % block == 0 && (end == tensor.begin + tensor.count ||
                                                (end - tensor.begin) % block == 0),
                        tensor.spec.name + " is cut at " + std::to_string(inside));
      runs_.push_back({.begin = begin,
                       .count = end - begin,
                       .block = first[static_cast<std::size_t>(tensor.ordinal)] + inside / block});
    }
  }
  by_block_ = exec.backend.allocate(Dtype::f64, {blocks});
  squares_ = exec.backend.allocate(Dtype::f64, {});
}

void GradientNorm::measure(device::Exec& exec) {
  device::fill(exec, by_block_, 0.0);
  for (const Run& run : runs_) {
    device::sum_squares_by_block(exec, by_block_.slice(0, run.block, blocks_of(run.count, block_)),
                                 set_.flat_gradient(run.begin, run.count), block_);
  }
  for (const auto axis : {parallel::Axis::tp, parallel::Axis::pp}) {
    mesh_.axis(axis).all_reduce(by_block_, comm::ReduceOp::sum, exec.stream);
  }
  if (shared_) mesh_.replicas().all_reduce(by_block_, comm::ReduceOp::sum, exec.stream);
  device::sum_in_order(exec, squares_, by_block_);
}

}  // namespace concordat::train
