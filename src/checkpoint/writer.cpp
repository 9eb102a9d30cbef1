#include "checkpoint/writer.hpp"

#include <csignal>

#include "concordat/core/error.hpp"

namespace concordat::checkpoint {

Writer::~Writer() { join(); }

void Writer::start(std::function<void()> work) {
  CONCORDAT_REQUIRE(idle() && !failure_, "the writer has work");
  join();
  running_ = true;
  // The thread inherits a mask of everything: requests to stop are for the host thread's waits.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::thread([this, work = std::move(work)] {
      std::exception_ptr failure;
      try {
        work();
      } catch (...) {
        failure = std::current_exception();
      }
      const std::lock_guard lock(mutex_);
      failure_ = failure;
      running_ = false;
      ended_.notify_all();
    });
  } catch (...) {
    running_ = false;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

bool Writer::idle() const {
  const std::lock_guard lock(mutex_);
  return !running_;
}

bool Writer::wait_for(std::chrono::milliseconds duration) {
  std::unique_lock lock(mutex_);
  return ended_.wait_for(lock, duration, [this] { return !running_; });
}

void Writer::check() {
  join();
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Writer::join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace concordat::checkpoint
