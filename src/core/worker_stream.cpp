#include "concordat/core/worker_stream.hpp"

namespace concordat {
namespace {

class Point final : public Event::State {
 public:
  bool happened() const override {
    std::lock_guard lock(mutex_);
    return done_;
  }
  void wait() override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_; });
    if (failure_) std::rethrow_exception(failure_);
  }
  void reach(std::exception_ptr failure) {
    std::lock_guard lock(mutex_);
    done_ = true;
    failure_ = std::move(failure);
    changed_.notify_all();
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::exception_ptr failure_;
};

}  // namespace

WorkerStream::WorkerStream(std::function<void(const Work&)> around)
    : around_(std::move(around)), worker_([this] { run(); }) {}

WorkerStream::~WorkerStream() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  worker_.join();
}

void WorkerStream::push(Item item) {
  {
    std::lock_guard lock(mutex_);
    items_.push_back(std::move(item));
  }
  wake_.notify_one();
}

void WorkerStream::enqueue(Work work) { push({std::move(work), false}); }

Event WorkerStream::record() {
  auto point = std::make_shared<Point>();
  push({[this, point] { point->reach(failure_); }, true});
  return Event(point);
}

// An event of a stream that failed fails this one as well.
void WorkerStream::wait(const Event& event) {
  push({[event] { event.wait(); }, true});
}

void WorkerStream::synchronize() { record().wait(); }

void WorkerStream::run() {
  for (;;) {
    Item item;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || !items_.empty(); });
      if (items_.empty()) return;
      item = std::move(items_.front());
      items_.pop_front();
    }
    try {
      if (item.plain || (!failure_ && !around_)) {
        item.work();
      } else if (!failure_) {
        around_(item.work);
      }
    } catch (...) {
      if (!failure_) failure_ = std::current_exception();
    }
  }
}

}  // namespace concordat
