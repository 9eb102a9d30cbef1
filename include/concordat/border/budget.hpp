// ByteBudget: one bound on the bytes that all connections and sums of a process hold at once.
//
//   ByteBudget budget(48U << 20U);
//   auto held = budget.reserve(3 * block_bytes);   // waits its turn; given back by the destructor
//
// Whoever holds a reservation waits for no peer: what comes slowly is spilled to a file first, so
// a slow peer holds nothing. One reservation per thread at a time, or threads wait for each other.
// First come, first served. Threads: any.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <utility>

namespace concordat::border {

class ByteBudget {
 public:
  explicit ByteBudget(std::uint64_t limit_bytes) : limit_(limit_bytes) {}

  class Reservation {
   public:
    Reservation(Reservation&& other) noexcept
        : budget_(std::exchange(other.budget_, nullptr)), bytes_(other.bytes_) {}
    Reservation& operator=(Reservation&&) = delete;
    ~Reservation() {
      if (budget_ != nullptr) budget_->give_back(bytes_);
    }

   private:
    friend class ByteBudget;
    Reservation(ByteBudget* budget, std::uint64_t bytes) : budget_(budget), bytes_(bytes) {}
    ByteBudget* budget_;
    std::uint64_t bytes_;
  };

  /// Waits until the bytes are free. @throws Error(over_budget) if the limit itself is smaller.
  Reservation reserve(std::uint64_t bytes);
  std::uint64_t limit_bytes() const { return limit_; }
  /// Most that was reserved at once.
  std::uint64_t peak_bytes() const;

 private:
  void give_back(std::uint64_t bytes) noexcept;
  const std::uint64_t limit_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t used_ = 0;
  std::uint64_t peak_ = 0;
  std::uint64_t next_ticket_ = 0;
  std::uint64_t serving_ = 0;
};

}  // namespace concordat::border
