// RUN/DONATE: whom `concordat donate` asks this site's border to give its state to.
// RUN/NEEDS_STATE: the border of a site that lost its state names the donor that it waits for.
#pragma once

#include <optional>
#include <string>

#include "concordat/core/file.hpp"

namespace concordat::site {

/// Replaces an older request. Durable.
void write_donation_request(FileSystem& fs, const FileSystem::Path& run_folder,
                            const std::string& site);
std::optional<std::string> read_donation_request(FileSystem& fs,
                                                 const FileSystem::Path& run_folder);
void clear_donation_request(FileSystem& fs, const FileSystem::Path& run_folder);

/// Empty `donor`: no state is needed (any more).
void write_needed_state(FileSystem& fs, const FileSystem::Path& run_folder,
                        const std::string& donor);
std::optional<std::string> read_needed_state(FileSystem& fs, const FileSystem::Path& run_folder);

}  // namespace concordat::site
