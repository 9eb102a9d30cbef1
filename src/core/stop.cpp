#include "concordat/core/stop.hpp"

#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <string_view>

#include "concordat/core/error.hpp"

namespace concordat {
namespace {

volatile std::sig_atomic_t requeue_signals = 0;
volatile std::sig_atomic_t stop_signals = 0;
timespec first_stop{};

constexpr double same_request_s = 1.0;

extern "C" void on_requeue(int) { requeue_signals = 1; }

extern "C" void on_stop(int) {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  if (stop_signals == 0) {
    first_stop = now;
    stop_signals = 1;
    return;
  }
  const double since = static_cast<double>(now.tv_sec - first_stop.tv_sec) +
                       1e-9 * static_cast<double>(now.tv_nsec - first_stop.tv_nsec);
  if (since >= same_request_s) ::_exit(static_cast<int>(ExitCode::saved));
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
  return value;
}

}  // namespace

void StopRequests::catch_signals() {
  handle(SIGUSR1, on_requeue);
  handle(SIGTERM, on_stop);
  handle(SIGINT, on_stop);
}

StopRequests::StopRequests(FileSystem& fs, FileSystem::Path folder, Clock& clock,
                           const StopLimits& limits)
    : fs_(fs), folder_(std::move(folder)), clock_(clock), end_unix_seconds_(end_time()) {
  if (end_unix_seconds_) *end_unix_seconds_ -= limits.margin.count();
  if (limits.walltime.count() > 0) {
    end_monotonic_ = clock_.monotonic() + limits.walltime - limits.margin;
  }
  catch_signals();
  fs_.remove(folder_ / "REQUEUE");
}

bool StopRequests::time_is_up() const {
  if (end_unix_seconds_ && clock_.unix_seconds() >= *end_unix_seconds_) return true;
  return end_monotonic_ && clock_.monotonic() >= *end_monotonic_;
}

StopKind StopRequests::from_files() {
  if (fs_.remove(folder_ / "STOP")) return StopKind::stop;
  if (time_is_up()) return StopKind::requeue;
  return fs_.remove(folder_ / "SAVE") ? StopKind::save : StopKind::none;
}

StopKind StopRequests::poll() {
  if (kind_ == StopKind::stop) return kind_;
  StopKind found = StopKind::none;
  if (stop_signals != 0) {
    found = StopKind::stop;
  } else if (kind_ == StopKind::requeue) {
    return kind_;
  } else if (requeue_signals != 0) {
    found = StopKind::requeue;
  } else if (clock_.monotonic() >= next_look_) {
    next_look_ = clock_.monotonic() + std::chrono::milliseconds(200);
    found = from_files();
  }
  if (found == StopKind::requeue) write_atomically(fs_, folder_ / "REQUEUE", as_bytes("1\n"));
  if (found == StopKind::stop) fs_.remove(folder_ / "REQUEUE");
  if (found == StopKind::stop || found == StopKind::requeue) kind_ = found;
  return found;
}

}  // namespace concordat
