// RUN/DONATE: whom `concordat donate` asks this site's border to give its state to.
// RUN/NEEDS_STATE: the border of a site that lost its state names the donor that it waits for, and
// who needs it.
#pragma once

#include <optional>
#include <string>

#include "concordat/core/file.hpp"
#include "concordat/core/ids.hpp"

namespace concordat::site {

/// Replaces an older request. Durable.
void write_donation_request(FileSystem& fs, const FileSystem::Path& run_folder,
                            const std::string& site);
std::optional<std::string> read_donation_request(FileSystem& fs,
                                                 const FileSystem::Path& run_folder);
void clear_donation_request(FileSystem& fs, const FileSystem::Path& run_folder);

struct NeededState {
  std::string donor{};
  /// The newest closed round whose outer step cannot be taken from what is here: a job that holds
  /// the state of a later one needs nothing.
  Round through{};
  bool operator==(const NeededState&) const = default;
};
/// nullopt: no state is needed (any more).
void write_needed_state(FileSystem& fs, const FileSystem::Path& run_folder,
                        const std::optional<NeededState>& needed);
/// @throws Error(malformed).
std::optional<NeededState> read_needed_state(FileSystem& fs, const FileSystem::Path& run_folder);

}  // namespace concordat::site
