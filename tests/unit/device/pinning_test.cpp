// Pinning, read back from the kernel. Each test works on a thread of its own, which leaves the
// affinity of the others alone.
#include "concordat/device/pinning.hpp"

#include <gtest/gtest.h>
#include <omp.h>
#include <sched.h>

#include <thread>
#include <vector>

#include "concordat/device/errors.hpp"
#include "support/expect_error.hpp"

namespace concordat::device {
namespace {

std::vector<int> allowed() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> processors;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return processors;
  for (int processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (CPU_ISSET(processor, &set)) processors.push_back(processor);
  }
  return processors;
}

template <typename Work>
void on_own_thread(Work&& work) {
  std::thread(std::forward<Work>(work)).join();
}

TEST(PinThreads, ASingleThreadStaysOnItsProcessor) {
  const std::vector<int> all = allowed();
  ASSERT_FALSE(all.empty());
  on_own_thread([&] {
    pin_threads({all.back()}, 1);
    EXPECT_EQ(allowed(), std::vector<int>{all.back()});
    EXPECT_EQ(::sched_getcpu(), all.back());
  });
  EXPECT_EQ(allowed(), all);
}

TEST(PinThreads, EachThreadOfATeamHasAProcessorAndLaterOnesHaveAllOfThem) {
  const std::vector<int> all = allowed();
  if (all.size() < 2) GTEST_SKIP() << "one processor";
  const std::vector<int> own{all[1], all[0]};
  on_own_thread([&] {
    pin_threads(own, 2);
    std::vector<std::vector<int>> found(2);
#pragma omp parallel num_threads(2)
    found[static_cast<std::size_t>(omp_get_thread_num())] = allowed();
    EXPECT_EQ(found[1], std::vector<int>{all[0]});
    EXPECT_EQ(found[0], (std::vector<int>{all[0], all[1]}));
    std::thread([&] { EXPECT_EQ(allowed(), (std::vector<int>{all[0], all[1]})); }).join();
  });
}

TEST(PinThreads, ProcessorsThatAreNotThereAreRefused) {
  on_own_thread([] { EXPECT_ERROR(pin_threads({100'000}, 1), errors::cannot_pin); });
}

}  // namespace
}  // namespace concordat::device
