// `concordat donate`: asks this site's border to give its part of what all sites share to another.
//
//   ask_to_donate(settings, roster, "cala");         // RUN/DONATE, taken by the border
#pragma once

#include <string>

#include "concordat/core/file.hpp"
#include "concordat/federation/roster.hpp"
#include "concordat/site/settings.hpp"

namespace concordat::site {

/// Durable; whether a border runs is for the caller to say.
/// @throws Error(usage) if `to` is no other site of the roster or federation.donate_to lacks it.
void ask_to_donate(FileSystem& fs, const SiteSettings& settings, const federation::Roster& roster,
                   const std::string& to);

}  // namespace concordat::site
