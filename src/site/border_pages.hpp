// BorderPages: keeps border.json true to what a border does.
//
//   BorderPages pages(fs, clock, run_folder, {.site = "alba", .coordinator = "hub:7443"});
//   pages.show(loop.position(), road);   // after every turn: writes when something changed
//   pages.end("done");
//
// Writes at once what is new and every half minute that it is still so. The page is for people: if
// it cannot be written, that is said once and the border goes on. Threads: one.
#pragma once

#include <string_view>

#include "concordat/core/clock.hpp"
#include "concordat/site/border_loop.hpp"
#include "concordat/site/border_page.hpp"
#include "site/watched_road.hpp"

namespace concordat::site {

class BorderPages {
 public:
  /// `page` has the fields that stay.
  BorderPages(FileSystem& fs, Clock& clock, FileSystem::Path run_folder, BorderPage page);
  void show(const BorderLoop::Position& position, const WatchedRoad& road);
  /// In the middle of a turn: the coordinator answers, or no longer does.
  void show(const WatchedRoad& road);
  void end(std::string_view text);

 private:
  void write();

  FileSystem& fs_;
  Clock& clock_;
  FileSystem::Path run_folder_;
  BorderPage page_;
  std::chrono::nanoseconds written_{0};
  bool failed_ = false;
};

}  // namespace concordat::site
