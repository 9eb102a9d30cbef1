// WaitNotice: a training job that waits says so, once for each thing there is to know.
//
//   WaitNotice notice(settings.folder, settings.run_folder(), fs, clock);
//   ... twice a second, rank 0, while it waits in `round`: notice.look(round);
//
// After some seconds without a border it says how to start one; when one comes, that it has; after
// a minute, and then every ten, what the border waits for. Threads: one.
#pragma once

#include <chrono>
#include <optional>

#include "concordat/core/clock.hpp"
#include "concordat/core/file.hpp"
#include "concordat/core/ids.hpp"

namespace concordat::site {

class WaitNotice {
 public:
  WaitNotice(FileSystem::Path site_folder, FileSystem::Path run_folder, FileSystem& fs,
             Clock& clock);
  /// Logs what is new. Looks at files every few seconds at most.
  void look(Round round);

 private:
  void say_missing();
  void say_waiting(std::chrono::nanoseconds waited);

  FileSystem::Path site_folder_;
  FileSystem::Path run_folder_;
  FileSystem& fs_;
  Clock& clock_;
  std::optional<Round> round_;
  std::chrono::nanoseconds since_{0};
  std::chrono::nanoseconds next_look_{0};
  std::chrono::nanoseconds next_line_{0};
  bool said_missing_ = false;
};

}  // namespace concordat::site
