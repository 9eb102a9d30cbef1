// WorkerStream: a stream with a thread of its own, for work whose waits must not hold up the host.
//
//   WorkerStream messages;
//   messages.wait(compute.record());               // what follows comes behind compute's work
//   Handle sum = comm.all_reduce(gradient, ReduceOp::sum, messages);
//   ... the host goes on computing ...
//   compute.wait(sum.event());
//
// Work that throws poisons the stream: later work is dropped, and events and synchronize() rethrow
// the first exception. The destructor finishes what is enqueued, so whoever gives up a collective
// half-way tells its peers first (Communicator::fail). Cost: one thread, asleep when idle.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "concordat/core/stream.hpp"

namespace concordat {

class WorkerStream final : public Stream {
 public:
  using Work = std::function<void()>;
  /// `around` runs each piece of work, for a back end that has something to do before and after.
  explicit WorkerStream(std::function<void(const Work&)> around = {});
  ~WorkerStream() override;
  WorkerStream(const WorkerStream&) = delete;
  WorkerStream& operator=(const WorkerStream&) = delete;
  void enqueue(Work work) override;
  Event record() override;
  void wait(const Event& event) override;
  void synchronize() override;

 private:
  struct Item {
    Work work;
    bool plain;  // runs bare, also on a poisoned stream
  };
  void push(Item item);
  void run();

  std::function<void(const Work&)> around_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> items_;
  bool stopping_ = false;
  std::exception_ptr failure_;  // only the worker writes and reads it
  std::thread worker_;          // last: starts when the rest is there
};

}  // namespace concordat
