// Writer: a thread for file work beside the training, one piece at a time.
//
//   Writer writer;
//   writer.start([&] { write_extents(...); });
//   while (!writer.wait_for(20ms)) look_after_others();
//   writer.check();                                  // throws what the work threw
//
// Threads: one host thread calls it. The thread takes no signals and makes no call of a
// communicator. Cost: a thread a piece.
#pragma once

#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace concordat::checkpoint {

class Writer {
 public:
  Writer() = default;
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  /// Waits for the piece that runs; what it throws is lost.
  ~Writer();
  /// @pre idle(), and the piece before was checked.
  void start(std::function<void()> work);
  /// Whether nothing runs.
  bool idle() const;
  /// Waits this long at most; idle() then.
  bool wait_for(std::chrono::milliseconds duration);
  /// Waits for the piece to end and rethrows its exception, once.
  void check();

 private:
  void join();

  mutable std::mutex mutex_;
  std::condition_variable ended_;
  bool running_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace concordat::checkpoint
