#include "concordat/train/gradient_reducer.hpp"

namespace concordat::train {

void GradientReducer::reduce(const model::Bucket& bucket) {
  handles_.push_back(
      mesh_.replicas().all_reduce(bucket.gradient, comm::ReduceOp::sum, exec_.stream));
}

void GradientReducer::finish(std::size_t num_buckets) {
  CONCORDAT_REQUIRE(handles_.size() == num_buckets, std::to_string(handles_.size()) + " of " +
                                                        std::to_string(num_buckets) + " buckets");
  for (const comm::Handle& handle : handles_) exec_.stream.wait(handle.event());
  handles_.clear();
}

}  // namespace concordat::train
