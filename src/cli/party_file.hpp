// Whose configuration a file is: one party's command refuses another party's file by that name.
#pragma once

#include <string>

#include "cli/command.hpp"
#include "concordat/core/config.hpp"

namespace concordat::cli {

/// False also of a file that cannot be read: reading it as a configuration says what is wrong.
bool is_coordinator_file(const std::string& file);
/// @throws Error(usage) if it is a coordinator's.
void require_site_file(const std::string& file);
/// @throws Error(usage) if it is a site's, and those of Config::load.
Config load_coordinator(const std::string& file, const Args& flags);

}  // namespace concordat::cli
