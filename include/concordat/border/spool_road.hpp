// The spool road: requests and answers as sealed files in a folder that something else carries to
// the other end, for clusters from which no process can dial out. Format:
// docs/formats/spool-road.md.
//
//   SpoolCoordinatorOptions serve{.folder = "hub/spool"};        // alba's is hub/spool/alba
//   auto hub = make_spool_coordinator_road(serve, me, keys.tls, peers);
//   SpoolSiteOptions options{.folder = "alba/spool"};
//   auto road = make_spool_site_road(options, me, keys.tls, peers);
//   std::cout << look_at_spool(posix_files(), "alba/spool").up.files;   // what waits to be moved
//
// A spool has two folders: what lies in `up` goes from the site to the coordinator, what lies in
// `down` the other way. Files appear whole (created exclusively, synced, renamed) and are never
// changed; who carries them may come late, carry one twice, lose one or leave it behind. Each file
// is sealed to its recipient and signed with the sender's key for roads, so whoever carries it
// learns its size and time, and can do no more than keep it back.
//
// A call of a site waits for `patience` and then throws Error(road_waits): the same call made again
// goes on waiting for the same answer. What has no answer for `answer_limit` is put into the spool
// once more, with Error(road_down). A message for the site comes without being asked for.
// Failure: as road.hpp; a spool that cannot be written is road_down at a site.
#pragma once

#include <memory>

#include "concordat/border/budget.hpp"
#include "concordat/border/road.hpp"
#include "concordat/core/clock.hpp"
#include "concordat/core/file.hpp"

namespace concordat::border {

struct SpoolSiteOptions {
  FileSystem::Path folder;  ///< holds up/ and down/; made if it is not there
  FileSystem* files = &posix_files();
  Clock* clock = &system_clock();  ///< of answer_limit
  std::chrono::milliseconds look_every{500};
  std::chrono::milliseconds patience{500};
  std::chrono::milliseconds answer_limit{3'600'000};
};

struct SpoolCoordinatorOptions {
  FileSystem::Path folder;  ///< holds NAME/up and NAME/down for each site; made if not there
  FileSystem* files = &posix_files();
  Clock* clock = &system_clock();  ///< of answer_limit
  std::chrono::milliseconds look_every{500};
  /// After which a message that nobody acknowledged is put into the spool once more.
  std::chrono::milliseconds answer_limit{3'600'000};
  /// One bound on bytes in flight, shared with whoever sums; 64 MiB of its own if none is given.
  std::shared_ptr<ByteBudget> budget{};
};

/// `me` and `tls` outlive the road. One road at a time on a spool.
std::unique_ptr<SiteRoad> make_spool_site_road(const SpoolSiteOptions& options, const Identity& me,
                                               const crypto::SigningKey& tls,
                                               const PeerDirectory& peers);
/// `me` and `tls` outlive the road; one thread per site of `peers`.
std::unique_ptr<CoordinatorRoad> make_spool_coordinator_road(const SpoolCoordinatorOptions& options,
                                                             const Identity& me,
                                                             const crypto::SigningKey& tls,
                                                             const PeerDirectory& peers);

/// What lies in a spool now, for people; takes and changes nothing.
struct SpoolLook {
  struct Way {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
    std::int64_t oldest_unix_seconds = 0;  ///< 0 without a file
  };
  Way up;
  Way down;
};
/// Empty for a folder that is not there.
SpoolLook look_at_spool(FileSystem& fs, const FileSystem::Path& folder);

}  // namespace concordat::border
