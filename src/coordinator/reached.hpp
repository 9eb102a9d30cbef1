// How far each site is: it has everything of the rounds before that one durably, because it was
// ready for it, or acknowledged the closing record before it.
//
//   Reached reached(folder, num_sites);
//   if (reached.raise(SiteId{1}, Round{7})) reached.save();
//   Round oldest = reached.oldest();              // what is before it nobody wants
//
// A `ready` stands in its exchange's journal too, so it need not be saved at once. File:
// docs/formats/coordinator-folder.md. Threads: the desk's lock.
#pragma once

#include <vector>

#include "coordinator/exchange_files.hpp"

namespace concordat::coordinator {

class Reached {
 public:
  /// Reads the file if there is one. @throws Error(coordinator.bad_journal).
  Reached(const CoordinatorFolder& folder, std::uint32_t num_sites);
  /// Whether a file was read: without one the journals have to say it.
  bool is_known() const { return known_; }
  Round of(SiteId site) const { return rounds_.at(site.value()); }
  Round oldest() const;
  /// True if that is further than before; nothing is ever lowered.
  bool raise(SiteId site, Round round);
  /// Durable when it returns.
  void save();

 private:
  FileSystem& fs_;
  FileSystem::Path path_;
  std::vector<Round> rounds_;  ///< by site
  bool known_ = false;
};

}  // namespace concordat::coordinator
