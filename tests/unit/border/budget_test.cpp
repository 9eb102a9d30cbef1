#include "concordat/border/budget.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include "unit/border/fixture.hpp"

namespace concordat::border::testing {
namespace {

TEST(Budget, IsNeverExceeded) {
  ByteBudget budget(100);
  std::atomic<int> used{0};
  std::atomic<bool> exceeded{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        int bytes = 10 + (t * 13 + i * 7) % 90;
        auto held = budget.reserve(static_cast<std::uint64_t>(bytes));
        if (used.fetch_add(bytes) + bytes > 100) exceeded = true;
        std::this_thread::yield();
        used.fetch_sub(bytes);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_FALSE(exceeded);
  EXPECT_LE(budget.peak_bytes(), 100U);
}

TEST(Budget, ABlockLargerThanAllOfItIsRefused) {
  ByteBudget budget(100);
  EXPECT_EQ(code_of([&] { budget.reserve(101); }), "border.over_budget");
  auto all = budget.reserve(100);
  EXPECT_EQ(budget.peak_bytes(), 100U);
}

}  // namespace
}  // namespace concordat::border::testing
