#include "concordat/core/worker_stream.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <string>
#include <vector>

namespace concordat {
namespace {

TEST(WorkerStream, WorkRunsInOrderWhileTheHostGoesOn) {
  WorkerStream stream;
  std::promise<void> open;
  std::vector<int> order;  // touched by the worker alone until it is synchronized
  stream.enqueue([gate = open.get_future().share()] { gate.wait(); });
  for (int i = 0; i < 5; ++i) stream.enqueue([&, i] { order.push_back(i); });
  const Event point = stream.record();
  EXPECT_FALSE(point.happened());
  open.set_value();
  stream.synchronize();
  EXPECT_TRUE(point.happened());
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(WorkerStream, AStreamThatWaitsForAnothersEventRunsBehindIt) {
  WorkerStream first;
  WorkerStream second;
  std::promise<void> open;
  std::atomic<bool> done{false};
  first.enqueue([&, gate = open.get_future().share()] {
    gate.wait();
    done = true;
  });
  second.wait(first.record());
  bool seen = false;
  second.enqueue([&] { seen = done; });
  open.set_value();
  second.synchronize();
  EXPECT_TRUE(seen);
}

TEST(WorkerStream, AfterAnExceptionNothingRunsAndWhoeverWaitsGetsIt) {
  WorkerStream stream;
  WorkerStream other;
  bool ran = false;
  stream.enqueue([] { throw std::runtime_error("first"); });
  stream.enqueue([] { throw std::runtime_error("second"); });
  stream.enqueue([&] { ran = true; });
  other.wait(stream.record());
  other.enqueue([&] { ran = true; });
  for (WorkerStream* each : {&stream, &other}) {
    try {
      each->synchronize();
      ADD_FAILURE() << "no exception";
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(error.what(), std::string("first"));
    }
  }
  EXPECT_FALSE(ran);
}

TEST(WorkerStream, EachPieceOfWorkRunsInsideWhatTheBackEndWraps) {
  int depth = 0;
  int wrapped = 0;
  {
    WorkerStream stream([&](const WorkerStream::Work& work) {
      ++depth;
      work();
      --depth;
    });
    for (int i = 0; i < 3; ++i) stream.enqueue([&] { wrapped += depth; });
  }  // finishes what is enqueued
  EXPECT_EQ(wrapped, 3);
}

}  // namespace
}  // namespace concordat
