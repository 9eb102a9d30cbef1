// What forward leaves for backward: a table with use counts, one per micro-batch in flight, over a
// pool of buffers that the step loop reuses.
//
//   SlotNames slots;                                // while the model is built
//   Slot x_slot = slots.reserve("layers.0.norm.x");
//   SavedTable saved(slots);                        // one per micro-batch in flight
//   saved.save(x_slot, x, /*uses=*/2);              // forward
//   Tensor again = saved.use(x_slot);               // backward_input
//   Tensor last = saved.use(x_slot);                // backward_weight: the entry is gone
//   CONCORDAT_REQUIRE(saved.empty(), saved.listing());
//
// Threads: a SavedTable belongs to the host thread of its stage. BufferPool is safe from many,
// since a stream's worker may drop the last reference to a buffer. Failure: Bug for a slot saved
// twice, used too often or missing: a broken layer, not bad input.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "concordat/core/tensor.hpp"

namespace concordat::model {

/// Buffers by size. A tensor from take() returns its memory when its last copy goes, so that after
/// the first step nothing is allocated. Contents are undefined.
class BufferPool {
 public:
  using Allocate = std::function<Tensor(Dtype, const Shape&)>;
  explicit BufferPool(Allocate allocate);
  /// Contiguous, from a free buffer of the same size in bytes, or newly allocated.
  Tensor take(Dtype dtype, const Shape& shape);
  /// Bytes ever allocated, which is the high-water mark by construction.
  std::size_t allocated_bytes() const;
  std::size_t num_allocations() const;
  /// Buffers that tensors hold now.
  std::size_t num_lent() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Index of an entry in every SavedTable of a stage.
struct Slot {
  int index = -1;
};

/// Gives out slots while a stage is built; remembers names for messages.
class SlotNames {
 public:
  Slot reserve(std::string name);
  int count() const { return static_cast<int>(names_->size()); }

 private:
  friend class SavedTable;
  std::shared_ptr<std::vector<std::string>> names_ = std::make_shared<std::vector<std::string>>();
};

class SavedTable {
 public:
  explicit SavedTable(const SlotNames& slots);
  /// @pre uses > 0 and the slot is free.
  void save(Slot slot, Tensor tensor, int uses);
  /// The saved tensor; its last use frees the slot.
  Tensor use(Slot slot);
  bool empty() const { return live_ == 0; }
  /// Drops everything: after an error, or a forward without a backward.
  void clear();
  /// Names of the live slots, for messages.
  std::string listing() const;

 private:
  struct Entry {
    Tensor tensor;
    int uses = 0;
  };
  const std::string& name_of(Slot slot) const;
  std::shared_ptr<const std::vector<std::string>> names_;
  std::vector<Entry> entries_;
  int live_ = 0;
};

}  // namespace concordat::model
