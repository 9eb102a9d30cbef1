#include "site/border_pages.hpp"

#include <utility>

#include "concordat/core/error.hpp"
#include "concordat/core/log.hpp"

namespace concordat::site {
namespace {

constexpr std::chrono::seconds refresh_every{30};

}  // namespace

BorderPages::BorderPages(FileSystem& fs, Clock& clock, FileSystem::Path run_folder, BorderPage page)
    : fs_(fs), clock_(clock), run_folder_(std::move(run_folder)), page_(std::move(page)) {}

void BorderPages::show(const BorderLoop::Position& position, const WatchedRoad& road) {
  const bool news = page_.phase != position.phase || page_.round != position.round.value();
  if (news) {
    page_.round = position.round.value();
    page_.phase = position.phase;
    page_.phase_since = clock_.unix_seconds();
  }
  if (news || clock_.monotonic() - written_ >= refresh_every) show(road);
}

void BorderPages::show(const WatchedRoad& road) {
  page_.reached = road.reached_unix_seconds();
  page_.trouble = road.trouble();
  page_.trouble_since = road.trouble_since_unix_seconds();
  write();
}

void BorderPages::end(std::string_view text) {
  page_.end = text;
  write();
}

void BorderPages::write() {
  written_ = clock_.monotonic();
  page_.updated = clock_.unix_seconds();
  try {
    write_border_page(fs_, run_folder_, page_);
  } catch (const Error& error) {
    if (!std::exchange(failed_, true)) log::warn(error.what());
  }
}

}  // namespace concordat::site
