#include "concordat/core/stop.hpp"

#include <atomic>
#include <csignal>

namespace concordat {
namespace {

std::atomic<int> caught{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler writes it");

void on_signal(int number) {
  auto reason = number == SIGUSR1 ? StopReason::usr1 : StopReason::term;
  int none = 0;
  caught.compare_exchange_strong(none, static_cast<int>(reason));
}

void catch_signal(int number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  // No SA_RESTART: a blocking call returns early, so that the loop sees the signal.
  sigaction(number, &action, nullptr);
}

}  // namespace

std::string_view name_of(StopReason reason) {
  switch (reason) {
    case StopReason::none:
      return "nothing";
    case StopReason::usr1:
      return "USR1";
    case StopReason::term:
      return "TERM";
    case StopReason::stop_file:
      return "the STOP file";
  }
  return "unknown";
}

void install_stop_signals() {
  for (int number : {SIGUSR1, SIGTERM, SIGINT}) catch_signal(number, on_signal);
  catch_signal(SIGPIPE, SIG_IGN);
}

StopReason stop_signal() { return static_cast<StopReason>(caught.load()); }
void set_stop_signal(StopReason reason) { caught = static_cast<int>(reason); }
bool asks_for_requeue(StopReason reason) { return reason == StopReason::usr1; }

StopReason StopWatch::reason() const {
  if (StopReason signal = stop_signal(); signal != StopReason::none) return signal;
  return fs_.exists(file_) ? StopReason::stop_file : StopReason::none;
}

}  // namespace concordat
