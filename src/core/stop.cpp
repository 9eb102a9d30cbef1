#include "concordat/core/stop.hpp"

#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdlib>
#include <string_view>

#include "concordat/core/error.hpp"

namespace concordat {
namespace {

volatile std::sig_atomic_t requeue_signals = 0;
volatile std::sig_atomic_t stop_signals = 0;

extern "C" void on_requeue(int) { requeue_signals = 1; }

extern "C" void on_stop(int) {
  if (stop_signals != 0) ::_exit(static_cast<int>(ExitCode::saved));
  stop_signals = 1;
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

StopRequests::StopRequests(FileSystem& fs, FileSystem::Path folder, Clock& clock,
                           std::chrono::seconds margin)
    : fs_(fs), folder_(std::move(folder)), clock_(clock), end_unix_seconds_(end_time()) {
  if (end_unix_seconds_) *end_unix_seconds_ -= margin.count();
  handle(SIGUSR1, on_requeue);
  handle(SIGTERM, on_stop);
  handle(SIGINT, on_stop);
  fs_.remove(folder_ / "REQUEUE");
}

StopKind StopRequests::from_files() {
  if (fs_.remove(folder_ / "STOP")) return StopKind::stop;
  bool over = end_unix_seconds_ && clock_.unix_seconds() >= *end_unix_seconds_;
  if (over) return StopKind::requeue;
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
