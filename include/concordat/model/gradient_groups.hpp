// GradientGroups: how one rank's micro-batches of a step become gradients that every layout has.
//
//   GradientGroups groups(8, 4);       // eight micro-batches in four groups, two in each
//   groups.place(4);                   // {group 2, depth 1, opens}: group 0 + 1 waits at depth 0
//   groups.place(7).folds;             // 2: 3 to 2, then 2 + 3 to 0 + 1, and depth 0 holds it all
//
// Inside a group gradients are added in order; groups are added as a fixed binary tree: neighbours
// first, then pairs of pairs. A rank that holds n = 2^k neighbouring groups of it holds a whole
// branch, so that ranks which go on with the same tree end with the same bits however many they
// are. The tree is made as groups close, like a binary counter: at most log2(n) sums wait while
// another group is added up, each in a gradient buffer of its own (its depth).
//
// Pure values. Without groups (the default) all is one sum, which starts from buffers of zeros.
#pragma once

namespace concordat::model {

/// Where one micro-batch's gradient goes.
struct GroupPlace {
  int group = 0;       ///< of this rank's
  int depth = 0;       ///< which gradient buffer it is added to
  bool opens = false;  ///< the first of its group: what the buffer held is overwritten
  /// After it: so many times the deepest sum is added to the one before it. Not 0 only where it
  /// closes its group.
  int folds = 0;
};

class GradientGroups {
 public:
  GradientGroups() = default;
  /// @pre num_groups > 0 divides num_micro_batches.
  GradientGroups(int num_micro_batches, int num_groups);

  /// Whether micro-batches open and close groups; false: buffers are zeroed before a step.
  bool grouped() const { return per_group_ > 0; }
  int count() const { return count_; }
  /// Gradient buffers that are needed.
  int depth() const;
  /// @pre 0 <= micro_batch; below the number given, where there are groups.
  GroupPlace place(int micro_batch) const;

 private:
  int per_group_ = 0;
  int count_ = 1;
};

}  // namespace concordat::model
