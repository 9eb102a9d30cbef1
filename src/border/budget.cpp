#include "concordat/border/budget.hpp"

#include <algorithm>

#include "concordat/border/errors.hpp"

namespace concordat::border {

ByteBudget::Reservation ByteBudget::reserve(std::uint64_t bytes) {
  if (bytes > limit_) {
    throw Error(errors::over_budget, {.what = "one block needs more memory than the whole budget",
                                      .where = "budget of bytes in flight",
                                      .found = std::to_string(bytes) + " bytes",
                                      .expected = "at most " + std::to_string(limit_),
                                      .remedy = "raise the budget, or agree on smaller blocks"});
  }
  std::unique_lock lock(mutex_);
  // Tickets keep a large request from being overtaken for ever by small ones.
  std::uint64_t ticket = next_ticket_++;
  changed_.wait(lock, [&] { return ticket == serving_ && used_ + bytes <= limit_; });
  ++serving_;
  used_ += bytes;
  peak_ = std::max(peak_, used_);
  lock.unlock();
  changed_.notify_all();
  return {this, bytes};
}

void ByteBudget::give_back(std::uint64_t bytes) noexcept {
  {
    std::lock_guard lock(mutex_);
    used_ -= bytes;
  }
  changed_.notify_all();
}

std::uint64_t ByteBudget::peak_bytes() const {
  std::lock_guard lock(mutex_);
  return peak_;
}

}  // namespace concordat::border
