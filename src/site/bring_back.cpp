#include "site/bring_back.hpp"

#include <algorithm>

#include "concordat/core/log.hpp"
#include "site/donation_request.hpp"

namespace concordat::site {
namespace {

using std::chrono::seconds;
constexpr seconds look_every{1}, first_pause{5}, longest_pause{300};

}  // namespace

FileSystem::Path waiting_file(const FileSystem::Path& run_folder) { return run_folder / "WAITING"; }

BringBack::BringBack(FileSystem& fs, Clock& clock, const FileSystem::Path& run_folder,
                     std::string command)
    : fs_(fs),
      clock_(clock),
      run_folder_(run_folder),
      taken_(run_folder / "WAITING.taken"),
      command_(std::move(command)) {
  // Of a border that was killed: whether its command succeeded is not known.
  if (fs_.exists(taken_)) fs_.rename(taken_, waiting_file(run_folder_));
}

bool BringBack::due(const std::string& masking) const {
  if (!fs_.exists(waiting_file(run_folder_))) return false;
  std::string exchange = read_text(fs_, waiting_file(run_folder_), 256);
  while (!exchange.empty() && exchange.back() == '\n') exchange.pop_back();
  const bool plain =
      !exchange.empty() && exchange.find_first_not_of("0123456789.") == std::string::npos;
  if (!plain) return false;
  // It would end again at once.
  if (read_needed_state(fs_, run_folder_)) return false;
  if (fs_.exists(run_folder_ / "inbox" / ("round-" + exchange) / "CLOSED")) return true;
  // What it left for went on without this site, and so did what follows.
  if (fs_.exists(run_folder_ / "import" / "IMPORTED")) return true;
  const bool committed = fs_.exists(run_folder_ / "outbox" / ("round-" + exchange) / "COMMIT");
  return !committed && masking == exchange;
}

void BringBack::look(const std::string& masking) {
  if (command_.empty() || clock_.monotonic() < next_look_) return;
  next_look_ = clock_.monotonic() + look_every;
  if (running_) {
    if (const auto code = running_->poll()) ended(*code);
    return;
  }
  if (!due(masking) || role_holder(run_folder_ / "train.lock")) return;
  log::info("the ranks can go on; running: " + command_);
  // Taken away first: the job that comes back may leave again before its command is looked at.
  fs_.rename(waiting_file(run_folder_), taken_);
  running_.emplace(command_);
}

void BringBack::ended(int code) {
  running_.reset();
  if (code == 0) {
    fs_.remove(taken_);
    pause_ = {};
    return;
  }
  fs_.rename(taken_, waiting_file(run_folder_));
  pause_ = std::clamp<std::chrono::nanoseconds>(2 * pause_, first_pause, longest_pause);
  next_look_ = clock_.monotonic() + pause_;
  log::warn("the command that brings the training job back ended with " + std::to_string(code) +
            ", trying again in " +
            std::to_string(std::chrono::duration_cast<seconds>(pause_).count()) +
            " s: " + command_);
}

}  // namespace concordat::site
