#include "concordat/model/saved.hpp"

#include <map>
#include <mutex>

namespace concordat::model {

struct BufferPool::State {
  Allocate allocate;
  std::mutex mutex;
  std::map<std::size_t, std::vector<Tensor>> free;
  std::size_t bytes = 0;
  std::size_t count = 0;
  std::size_t lent = 0;
};

BufferPool::BufferPool(Allocate allocate) : state_(std::make_shared<State>()) {
  state_->allocate = std::move(allocate);
}

Tensor BufferPool::take(Dtype dtype, const Shape& shape) {
  const std::size_t bytes =
      static_cast<std::size_t>(concordat::num_elements(shape)) * size_of(dtype);
  Tensor buffer;
  {
    const std::lock_guard lock(state_->mutex);
    ++state_->lent;
    auto& list = state_->free[bytes];
    if (!list.empty()) {
      buffer = std::move(list.back());
      list.pop_back();
    } else {
      state_->bytes += bytes;
      state_->count += 1;
    }
  }
  if (buffer.empty()) buffer = state_->allocate(dtype, shape);
  // The pool outlives its buffers through the deleter; a dropped buffer goes back to its list.
  const std::size_t offset = buffer.offset_bytes();
  Storage* const raw = buffer.storage().get();
  StoragePtr lent(raw, [state = state_, buffer = std::move(buffer), bytes](Storage*) mutable {
    const std::lock_guard lock(state->mutex);
    --state->lent;
    state->free[bytes].push_back(std::move(buffer));
  });
  return Tensor(std::move(lent), offset, dtype, shape);
}

std::size_t BufferPool::allocated_bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->bytes;
}

std::size_t BufferPool::num_allocations() const {
  const std::lock_guard lock(state_->mutex);
  return state_->count;
}

std::size_t BufferPool::num_lent() const {
  const std::lock_guard lock(state_->mutex);
  return state_->lent;
}

Slot SlotNames::reserve(std::string name) {
  names_->push_back(std::move(name));
  return Slot{static_cast<int>(names_->size()) - 1};
}

SavedTable::SavedTable(const SlotNames& slots)
    : names_(slots.names_), entries_(slots.names_->size()) {}

const std::string& SavedTable::name_of(Slot slot) const {
  CONCORDAT_REQUIRE(slot.index >= 0 && static_cast<std::size_t>(slot.index) < entries_.size(),
                    "slot " + std::to_string(slot.index));
  return (*names_)[static_cast<std::size_t>(slot.index)];
}

void SavedTable::save(Slot slot, Tensor tensor, int uses) {
  const std::string& name = name_of(slot);
  Entry& entry = entries_[static_cast<std::size_t>(slot.index)];
  CONCORDAT_REQUIRE(entry.uses == 0 && uses > 0, name);
  entry.tensor = std::move(tensor);
  entry.uses = uses;
  ++live_;
}

Tensor SavedTable::use(Slot slot) {
  const std::string& name = name_of(slot);
  Entry& entry = entries_[static_cast<std::size_t>(slot.index)];
  CONCORDAT_REQUIRE(entry.uses > 0, name);
  if (--entry.uses > 0) return entry.tensor;
  --live_;
  return std::move(entry.tensor);
}

void SavedTable::clear() {
  for (Entry& entry : entries_) entry = {};
  live_ = 0;
}

std::string SavedTable::listing() const {
  std::string text;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].uses == 0) continue;
    if (!text.empty()) text += ", ";
    text += (*names_)[i] + " (" + std::to_string(entries_[i].uses) + ")";
  }
  return text.empty() ? "nothing saved" : text;
}

}  // namespace concordat::model
