// What the strict back end catches, and the contracts of streams, arena and pending values.
#include <sys/wait.h>

#include <csignal>
#include <deque>
#include <future>
#include <thread>

#include "concordat/device/errors.hpp"
#include "device/strict/guarded_memory.hpp"
#include "unit/device/device_testing.hpp"

namespace concordat::device::testing {
namespace {

// How a sanitizer ends a segmentation fault: with an exit code instead of the signal.
#if defined(__SANITIZE_ADDRESS__)
bool died(int status) { return status != 0; }
#else
bool died(int status) { return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV; }
#endif

TEST(Strict, TheHostCannotReadATensor) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        Lab<float> lab("strict");
        Tensor x = lab.in({4}, {1, 2, 3, 4});
        lab.exec().stream.synchronize();
        volatile float seen = x.raw<float>()[0];
        std::exit(static_cast<int>(seen));
      },
      died, "");
}

TEST(Strict, TheHostCannotWriteATensor) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        Lab<float> lab("strict");
        Tensor x = lab.in({4}, {1, 2, 3, 4});
        lab.exec().stream.synchronize();
        x.raw<float>()[0] = 3.0F;
        std::exit(0);
      },
      died, "");
}

TEST(Strict, SpanOnADeviceTensorIsABug) {
  Lab<float> lab("strict");
  EXPECT_THROW(lab.out({4}).span<float>(), Bug);
}

TEST(Strict, HostMemoryIsNoInputOfAnOp) {
  Lab<float> lab("strict");
  Tensor x = lab.out({4});
  EXPECT_THROW(add(lab.exec(), x, x, host_tensor(Dtype::f32, {4})), Bug);
}

TEST(Strict, AllocationsAndScratchStartAsNan) {
  Lab<float> lab("strict");
  Tensor fresh = lab.session.backend().allocate(Dtype::f32, {100});
  for (float each : lab.get(fresh)) EXPECT_TRUE(std::isnan(each));
  for (int round = 0; round < 2; ++round) {
    ArenaScope scope(lab.exec().arena);
    Tensor scratch = lab.exec().arena.take(Dtype::f32, {50});
    for (float each : lab.get(scratch)) EXPECT_TRUE(std::isnan(each));
    fill(lab.exec(), scratch, 1.0);
  }
}

TEST(Strict, AWeightChangedWithoutBumpIsFoundAtItsNextProduct) {
  Lab<float> lab("strict");
  Parameter weight(lab.random({3, 3}, 1));
  Tensor x = lab.random({2, 3}, 2);
  Tensor y = lab.out({2, 3});
  matmul(lab.exec(), y, x, weight);
  fill(lab.exec(), weight.value(), 1.0);
  matmul(lab.exec(), y, x, weight);
  EXPECT_THROW(lab.exec().stream.synchronize(), Bug);
  // The stream stays poisoned: later values are never handed out.
  EXPECT_THROW(lab.get(y), Bug);
}

TEST(Strict, FreedMemoryIsUsedAgainAndUsedUpMemoryIsAnError) {
  auto memory = std::make_shared<GuardedMemory>(std::size_t{1} << 20U);
  std::deque<StoragePtr> held;
  for (std::size_t i = 0; i < 500; ++i) {  // sizes and life times that leave and merge gaps
    held.push_back(GuardedMemory::allocate(memory, 1000 + 7919 * i % 60000));
    if (held.size() > 10) held.erase(held.begin() + static_cast<std::ptrdiff_t>(i % 10));
    GuardedMemory::Gate gate(*memory);
    for (const StoragePtr& each : held) each->data()[each->size_bytes() - 1] = std::byte{1};
  }
  held.clear();
  StoragePtr most = GuardedMemory::allocate(memory, (1U << 20U) - 4096);
  EXPECT_THROW(GuardedMemory::allocate(memory, 8192), Error);
}

TEST(Strict, AnOpHasNotHappenedWhenItsCallReturns) {
  Lab<float> lab("strict");
  Tensor x = lab.out({1});
  std::promise<void> go;
  lab.exec().stream.enqueue([future = go.get_future().share()] { future.wait(); });
  fill(lab.exec(), x, 5.0);
  Pending<float> value = read_back<float>(lab.exec(), x);
  EXPECT_FALSE(value.ready());
  go.set_value();
  EXPECT_EQ(value.get(), 5.0F);
  EXPECT_TRUE(value.ready());
}

TEST(Strict, EventsJoinStreams) {
  Lab<float> lab("strict");
  auto other = lab.session.backend().make_stream();
  Arena arena(lab.session.backend(), *other);
  Exec side{lab.session.backend(), *other, arena};
  Tensor x = lab.out({1});
  std::promise<void> go;
  lab.exec().stream.enqueue([future = go.get_future().share()] { future.wait(); });
  fill(lab.exec(), x, 5.0);
  other->wait(lab.exec().stream.record());
  add(side, x, x, x);
  Pending<float> value = read_back<float>(side, x);
  EXPECT_FALSE(value.ready());
  go.set_value();
  EXPECT_EQ(value.get(), 10.0F);
}

TEST(Backends, HostValuesMayBeReusedAfterWrite) {
  for (const std::string& name : tested_backends()) {
    Lab<float> lab(name);
    Tensor x = lab.out({3});
    std::vector<float> values{1, 2, 3};
    write<float>(lab.exec(), x, values);
    values.assign(3, 0.0F);
    EXPECT_EQ(lab.get(x), (std::vector<float>{1, 2, 3})) << name;
    EXPECT_EQ(lab.get(x.slice(0, 1, 2)), (std::vector<float>{2, 3})) << name;
  }
}

TEST(Backends, UnknownNameIsAnErrorThatListsTheKnown) {
  try {
    make_backend("gpu");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), errors::unknown_backend);
    EXPECT_NE(std::string(error.what()).find("reference"), std::string::npos);
  }
}

TEST(Backends, SayWhichInstructionsTheyUse) {
  EXPECT_NE(instructions_in_use().find("cpu: "), std::string::npos);
  EXPECT_EQ(make_backend("auto")->name(), "cpu");
}

TEST(Arena, ScopesNestAndMemoryIsReused) {
  for (const std::string& name : tested_backends()) {
    Lab<float> lab(name);
    Arena& arena = lab.exec().arena;
    {
      ArenaScope outer(arena);
      Tensor a = arena.take(Dtype::f32, {1000});
      fill(lab.exec(), a, 1.0);
      {
        ArenaScope inner(arena);
        Tensor b = arena.take(Dtype::f32, {1000});
        fill(lab.exec(), b, 2.0);
      }
      Tensor c = arena.take(Dtype::u8, {3});
      EXPECT_EQ(c.offset_bytes() % 64, 0U);
      for (float each : lab.get(a)) EXPECT_EQ(each, 1.0F);
      Tensor large = arena.take(Dtype::f32, {3 << 20});  // a further chunk
      EXPECT_EQ(large.size(), 3 << 20);
    }
    arena.freeze();
    ArenaScope scope(arena);
    EXPECT_NO_THROW(arena.take(Dtype::f32, {3 << 20}));
    EXPECT_THROW(arena.take(Dtype::f32, {30 << 20}), Bug);
    EXPECT_GE(arena.peak_bytes(), std::size_t{12} << 20U);
  }
}

}  // namespace
}  // namespace concordat::device::testing
