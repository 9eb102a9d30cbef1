#include "site/wait_notice.hpp"

#include <utility>

#include "concordat/core/log.hpp"
#include "concordat/observe/progress.hpp"
#include "concordat/site/border_page.hpp"

namespace concordat::site {
namespace {

using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr seconds look_every{3};
constexpr seconds patience{5};
constexpr seconds first_line{60};
constexpr minutes line_every{10};

std::string short_wait(nanoseconds waited) {
  return observe::short_time(std::chrono::duration<double>(waited).count());
}

}  // namespace

WaitNotice::WaitNotice(FileSystem::Path site_folder, FileSystem::Path run_folder, FileSystem& fs,
                       Clock& clock)
    : site_folder_(std::move(site_folder)),
      run_folder_(std::move(run_folder)),
      fs_(fs),
      clock_(clock) {}

void WaitNotice::look(Round round) {
  const nanoseconds now = clock_.monotonic();
  if (round_ != round) {
    round_ = round;
    since_ = now;
    next_look_ = now + patience;
    next_line_ = now + first_line;
  }
  if (now < next_look_) return;
  next_look_ = now + look_every;
  // `ingest` holds the lock too, for the moment of an entry.
  const auto holder = role_holder(site_folder_ / "border.lock");
  const bool runs = holder && holder->starts_with("role=border ");
  if (!runs && !said_missing_) say_missing();
  if (runs && said_missing_) {
    said_missing_ = false;
    log::info("the border runs now");
  }
  if (now < next_line_) return;
  next_line_ = now + line_every;
  if (runs) say_waiting(now - since_);
}

void WaitNotice::say_missing() {
  said_missing_ = true;
  log::warn("no border answers: none holds " + (site_folder_ / "border.lock").string() +
            " as seen from this host. This job waits for it in round " +
            std::to_string(round_->value()) +
            "; start 'concordat border SITE.toml' where there is a road to the coordinator");
}

void WaitNotice::say_waiting(nanoseconds waited) {
  const auto page = read_border_page(fs_, run_folder_);
  log::info("has waited " + short_wait(waited) + " in round " + std::to_string(round_->value()) +
            (page ? "; the border " + page->text() : "; the border runs"));
}

}  // namespace concordat::site
