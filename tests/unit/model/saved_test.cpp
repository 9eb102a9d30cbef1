#include "concordat/model/saved.hpp"

#include <gtest/gtest.h>

namespace concordat::model {
namespace {

BufferPool host_pool() {
  return BufferPool([](Dtype dtype, const Shape& shape) { return host_tensor(dtype, shape); });
}

TEST(SavedTable, AnEntryIsFreedByItsLastConsumer) {
  SlotNames names;
  const Slot x = names.reserve("x");
  const Slot y = names.reserve("y");
  BufferPool pool = host_pool();
  SavedTable saved(names);
  saved.save(x, pool.take(Dtype::f32, {2, 3}), 2);
  EXPECT_EQ(saved.listing(), "x (2)");
  EXPECT_EQ(saved.use(x).shape(), (Shape{2, 3}));
  EXPECT_FALSE(saved.empty());
  saved.use(x);
  EXPECT_TRUE(saved.empty());
  EXPECT_THROW(saved.use(x), Bug);
  EXPECT_THROW(saved.use(y), Bug);
  // The buffer is free again: another shape of the same size takes it.
  pool.take(Dtype::f32, {6});
  EXPECT_EQ(pool.num_allocations(), 1U);
  EXPECT_EQ(pool.allocated_bytes(), 24U);
}

TEST(SavedTable, ASlotIsSavedOnce) {
  SlotNames names;
  const Slot x = names.reserve("x");
  SavedTable saved(names);
  saved.save(x, host_tensor(Dtype::f32, {1}), 1);
  EXPECT_THROW(saved.save(x, host_tensor(Dtype::f32, {1}), 1), Bug);
  saved.clear();
  EXPECT_TRUE(saved.empty());
}

TEST(BufferPool, ABufferInUseIsNotHandedOutAgain) {
  BufferPool pool = host_pool();
  const Tensor a = pool.take(Dtype::f32, {4});
  const Tensor view = pool.take(Dtype::f32, {4}).slice(0, 1, 2);
  EXPECT_NE(a.raw_bytes(), view.raw_bytes() - 4);
  const Tensor c = pool.take(Dtype::f32, {4});
  EXPECT_EQ(pool.num_allocations(), 3U);
}

TEST(BufferPool, BuffersOutliveThePool) {
  Tensor kept;
  {
    BufferPool pool = host_pool();
    kept = pool.take(Dtype::f32, {4});
  }
  kept.span<float>()[3] = 1.0F;
  EXPECT_EQ(kept.span<float>()[3], 1.0F);
}

}  // namespace
}  // namespace concordat::model
