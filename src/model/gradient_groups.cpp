#include "concordat/model/gradient_groups.hpp"

#include <algorithm>
#include <bit>
#include <string>

#include "concordat/core/error.hpp"

namespace concordat::model {

namespace {
int ones(int index) { return std::popcount(static_cast<unsigned>(index)); }
}  // namespace

GradientGroups::GradientGroups(int num_micro_batches, int num_groups)
    : per_group_(num_groups > 0 ? num_micro_batches / num_groups : 0), count_(num_groups) {
  CONCORDAT_REQUIRE(per_group_ > 0 && per_group_ * num_groups == num_micro_batches,
                    std::to_string(num_micro_batches) + " micro-batches in " +
                        std::to_string(num_groups) + " groups");
}

int GradientGroups::depth() const {
  int deepest = 0;
  for (int group = 0; group < count_; ++group) deepest = std::max(deepest, ones(group));
  return deepest + 1;
}

GroupPlace GradientGroups::place(int micro_batch) const {
  CONCORDAT_REQUIRE(micro_batch >= 0, std::to_string(micro_batch));
  if (!grouped()) return {};
  const int group = micro_batch / per_group_;
  CONCORDAT_REQUIRE(group < count_, std::to_string(micro_batch));
  // Closed sums wait at one depth for every 1 of the group's index; a group that closes meets the
  // sums of its trailing ones, and the last one of the step meets all.
  GroupPlace place{.group = group, .depth = ones(group), .opens = micro_batch % per_group_ == 0};
  if ((micro_batch + 1) % per_group_ == 0) {
    place.folds = group + 1 == count_ ? place.depth : std::countr_one(static_cast<unsigned>(group));
  }
  return place;
}

}  // namespace concordat::model
