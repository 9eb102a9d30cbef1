// The fast tier of a run: a private folder of this run on each node of the site.
#pragma once

#include "concordat/checkpoint/checkpoint.hpp"
#include "concordat/site/settings.hpp"

namespace concordat::site {

/// Below checkpoint.fast, made where it is missing; without the key an empty one. Collective.
/// @throws Error(site.open_run_folder) if it belongs to or is open for somebody else.
checkpoint::FastTier fast_tier_of(const SiteSettings& settings, comm::Communicator& comm,
                                  FileSystem& fs);

}  // namespace concordat::site
