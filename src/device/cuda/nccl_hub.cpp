#include "device/cuda/nccl_hub.hpp"

#include <chrono>
#include <string>
#include <thread>

namespace concordat::device::cuda {
namespace {

using Clock = std::chrono::steady_clock;

void back_off(int steps) {
  if (steps < 2000) {
    std::this_thread::yield();
  } else {
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

}  // namespace

NcclHub::~NcclHub() { abort(all()); }

NcclHub::Links NcclHub::all() {
  const std::lock_guard lock(mutex_);
  return {links_.begin(), links_.end()};
}

ncclUniqueId NcclHub::make_id() {
  require_alive();
  ncclUniqueId id{};
  try {
    check(ncclGetUniqueId(&id), "ncclGetUniqueId");
  } catch (const Error&) {
    give_up(std::current_exception(), true);
  }
  return id;
}

NcclHub::Links NcclHub::open(const std::vector<Place>& places) {
  Links made(places.size(), nullptr);
  group([&] {
    for (std::size_t i = 0; i < places.size(); ++i) {
      ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
      config.blocking = 0;
      const ncclResult_t result =
          ncclCommInitRankConfig(&made[i], places[i].size, places[i].id, places[i].rank, &config);
      if (made[i] != nullptr) links_.insert(made[i]);
      check(result, "ncclCommInitRankConfig");
    }
  });
  {
    const std::lock_guard lock(mutex_);
    links_.insert(made.begin(), made.end());
  }
  settle(made, "the other ranks' NCCL");
  return made;
}

void NcclHub::group(const std::function<void()>& calls) {
  require_alive();
  try {
    const std::lock_guard lock(mutex_);
    check(ncclGroupStart(), "ncclGroupStart");
    try {
      calls();
    } catch (...) {
      static_cast<void>(ncclGroupEnd());  // the thread is in the group until then
      throw;
    }
    check(ncclGroupEnd(), "ncclGroupEnd");
  } catch (const Error&) {
    give_up(std::current_exception(), true);
  }
}

void NcclHub::settle(const Links& links, const char* what) {
  wait_until(
      [&] {
        const std::lock_guard lock(mutex_);
        bool all = true;
        for (ncclComm_t link : links) {
          if (!links_.contains(link)) return false;  // aborted meanwhile; look() says why
          ncclResult_t state = ncclSuccess;
          check(ncclCommGetAsyncError(link, &state), "ncclCommGetAsyncError");
          check(state, "what a communicator was asked to do");
          all = all && state == ncclSuccess;
        }
        return all;
      },
      what);
}

void NcclHub::close(const Links& links) noexcept {
  try {
    {
      const std::lock_guard lock(mutex_);
      if (dead_) return;
    }
    // Others may be elsewhere; whoever catches the exception tells them.
    if (std::uncaught_exceptions() > 0) return abort(links);
    {
      const std::lock_guard lock(mutex_);
      for (ncclComm_t link : links) check(ncclCommFinalize(link), "ncclCommFinalize");
    }
    settle(links, "the other ranks' end of a communicator");
    const std::lock_guard lock(mutex_);
    for (ncclComm_t link : links) {
      if (links_.erase(link) > 0) static_cast<void>(ncclCommDestroy(link));
    }
  } catch (const std::exception& error) {
    fail(error);
  }
}

void NcclHub::wait_until(const std::function<bool()>& done, const char* what) {
  const auto begin = Clock::now();
  for (int steps = 0;; ++steps) {
    bool peers_failed = false;
    try {
      if (done()) return;
      look();
      peers_failed = true;
      host_->require_alive();
      peers_failed = false;
      if (Clock::now() - begin > host_->stall_timeout()) {
        throw Error(
            comm::errors::stalled,
            {.what = "a wait made no progress",
             .where = "rank " + std::to_string(host_->rank()),
             .found = std::string("waited for ") + what,
             .expected = "an end within " + std::to_string(host_->stall_timeout().count()) + " ms",
             .remedy = "look at the logs of the other ranks; restart from the last "
                       "checkpoint"});
      }
    } catch (const Error&) {
      give_up(std::current_exception(), !peers_failed);
    }
    back_off(steps);
  }
}

void NcclHub::look() {
  const std::lock_guard lock(mutex_);
  if (dead_) std::rethrow_exception(dead_);
  for (ncclComm_t link : links_) {
    ncclResult_t state = ncclSuccess;
    check(ncclCommGetAsyncError(link, &state), "ncclCommGetAsyncError");
    check(state, "a communicator by itself");
  }
}

void NcclHub::require_alive() {
  const std::lock_guard lock(mutex_);
  if (dead_) std::rethrow_exception(dead_);
}

void NcclHub::abort(const Links& links) noexcept {
  const std::lock_guard lock(mutex_);
  for (ncclComm_t link : links) {
    if (links_.erase(link) > 0) static_cast<void>(ncclCommAbort(link));
  }
}

void NcclHub::give_up(std::exception_ptr first, bool tell) {
  {
    const std::lock_guard lock(mutex_);
    tell = tell && !dead_;
    if (!dead_) dead_ = first;
    first = dead_;
  }
  abort(all());
  try {
    std::rethrow_exception(first);
  } catch (const std::exception& error) {
    if (tell) host_->fail(error);
    throw;
  }
}

void NcclHub::fail(const std::exception& error) noexcept {
  host_->fail(error);
  try {
    host_->require_alive();
  } catch (...) {
    try {
      give_up(std::current_exception(), false);
    } catch (...) {
      // Kept, for whoever calls next.
    }
  }
}

}  // namespace concordat::device::cuda
