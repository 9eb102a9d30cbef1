// A stream with a thread of its own. Work that throws poisons the stream: later work is dropped,
// and events, Pending::get() and synchronize() rethrow the first exception.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "concordat/core/stream.hpp"
#include "device/strict/guarded_memory.hpp"

namespace concordat::device {

class WorkerStream final : public Stream {
 public:
  explicit WorkerStream(std::shared_ptr<GuardedMemory> memory);
  /// Finishes what is enqueued.
  ~WorkerStream() override;
  void enqueue(std::function<void()> work) override;
  Event record() override;
  void wait(const Event& event) override;
  void synchronize() override;

 private:
  struct Item {
    std::function<void()> work;
    bool guarded;  // false: runs with the memory closed, also on a poisoned stream
  };
  void push(Item item);
  void run();

  std::shared_ptr<GuardedMemory> memory_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> items_;
  bool stopping_ = false;
  std::exception_ptr failure_;  // only the worker writes and reads it
  std::thread worker_;          // last: starts when the rest is there
};

}  // namespace concordat::device
