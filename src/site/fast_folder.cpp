#include "site/fast_folder.hpp"

#include <unistd.h>

#include <array>

#include "concordat/comm/agree.hpp"
#include "site/run_folder.hpp"

namespace concordat::site {

checkpoint::FastTier fast_tier_of(const SiteSettings& settings, comm::Communicator& comm,
                                  FileSystem& fs) {
  if (settings.checkpoint.fast.empty()) return {};
  checkpoint::FastTier tier{.folder = settings.fast_folder()};
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  tier.node = host.data();
  comm::agreed(comm, [&] {
    fs.make_directories(tier.folder);
    check_private(fs, tier.folder);
  });
  return tier;
}

}  // namespace concordat::site
