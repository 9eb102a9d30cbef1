#include "concordat/core/stop.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <string_view>

#include "concordat/core/error.hpp"
#include "concordat/core/log.hpp"
#include "core/stop_signals.hpp"

namespace concordat {
namespace {

// Handlers run on any thread, also while another one runs one.
std::atomic<bool> requeue_asked{false};
std::atomic<std::int64_t> stop_asked_ns{0};  ///< when the TERM or INT that counts came; 0: none did
static_assert(std::atomic<bool>::is_always_lock_free &&
              std::atomic<std::int64_t>::is_always_lock_free);

// A century: what is further away does not fit into nanoseconds.
constexpr std::int64_t longest_left = std::int64_t{100} * 366 * 86400;
// Two clocks that are disciplined apart differ by less.
constexpr std::chrono::seconds clock_was_set{60};

extern "C" void on_requeue(int) { requeue_asked = true; }

extern "C" void on_stop(int) {
  const int kept = errno;  // of whatever was interrupted
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  stop_signals::came(std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec);
  errno = kept;
}

void handle(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, nullptr);  // no SA_RESTART: waits must notice
}

std::optional<std::int64_t> end_time() {
  const char* text = std::getenv("SLURM_JOB_END_TIME");
  if (text == nullptr) return std::nullopt;
  std::string_view digits(text);
  std::int64_t value = 0;
  auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (status != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  if (value <= 0) return std::nullopt;
  return value;
}

}  // namespace

void stop_signals::came(std::int64_t now_ns) noexcept {
  std::int64_t first = 0;
  if (stop_asked_ns.compare_exchange_strong(first, now_ns)) return;
  const std::chrono::nanoseconds since(now_ns - first);
  if (since < same_request) return;
  if (since < new_request) ::_exit(static_cast<int>(ExitCode::saved));
  stop_asked_ns.compare_exchange_strong(first, now_ns);
}

void StopRequests::catch_signals() {
  handle(SIGUSR1, on_requeue);
  handle(SIGTERM, on_stop);
  handle(SIGINT, on_stop);
}

StopRequests::StopRequests(FileSystem& fs, FileSystem::Path folder, Clock& clock,
                           const StopLimits& limits)
    : fs_(fs), folder_(std::move(folder)), clock_(clock), end_unix_seconds_(end_time()) {
  const std::chrono::nanoseconds now = clock_.monotonic();
  if (end_unix_seconds_) {
    *end_unix_seconds_ -= limits.margin.count();
    const std::int64_t left = *end_unix_seconds_ - clock_.unix_seconds();
    end_monotonic_ = now + std::chrono::seconds(std::clamp(left, -longest_left, longest_left));
  }
  if (limits.walltime.count() > 0) {
    const std::chrono::nanoseconds end = now + limits.walltime - limits.margin;
    end_monotonic_ = end_monotonic_ ? std::min(*end_monotonic_, end) : end;
  }
  catch_signals();
  fs_.remove(folder_ / "REQUEUE");
}

bool StopRequests::time_is_up() {
  const std::chrono::nanoseconds now = clock_.monotonic();
  if (end_monotonic_ && now >= *end_monotonic_) return true;
  if (!end_unix_seconds_ || clock_.unix_seconds() < *end_unix_seconds_) return false;
  const auto early = std::chrono::duration_cast<std::chrono::seconds>(*end_monotonic_ - now);
  if (early > clock_was_set) {
    log::warn("this machine's clock was set forward while the job ran: by it the job's end is " +
              std::to_string(early.count()) + " s nearer than it was; leaving as if it were right");
  }
  return true;
}

bool StopRequests::files_are_due() {
  if (clock_.monotonic() < next_look_) return false;
  next_look_ = clock_.monotonic() + std::chrono::milliseconds(200);
  return true;
}

StopKind StopRequests::from_files() {
  if (fs_.remove(folder_ / "STOP")) return StopKind::stop;
  if (time_is_up()) return StopKind::requeue;
  return fs_.remove(folder_ / "SAVE") ? StopKind::save : StopKind::none;
}

StopKind StopRequests::poll() {
  if (kind_ == StopKind::stop) return kind_;
  StopKind found = StopKind::none;
  if (stop_asked_ns != 0) {
    found = StopKind::stop;
  } else if (kind_ == StopKind::requeue) {
    // Somebody may still want it to stay away, while the last save is at work.
    if (!files_are_due() || !fs_.remove(folder_ / "STOP")) return kind_;
    found = StopKind::stop;
  } else if (requeue_asked) {
    found = StopKind::requeue;
  } else if (files_are_due()) {
    found = from_files();
  }
  if (found == StopKind::requeue) write_atomically(fs_, folder_ / "REQUEUE", as_bytes("1\n"));
  if (found == StopKind::stop) fs_.remove(folder_ / "REQUEUE");
  if (found == StopKind::stop || found == StopKind::requeue) kind_ = found;
  return found;
}

}  // namespace concordat
