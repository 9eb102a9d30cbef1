// Two rounds are over in a world of three; then the run folder of a site is gone.
#pragma once

#include "site/donation_request.hpp"
#include "site/state_import.hpp"
#include "unit/site/border_world.hpp"

namespace concordat::site::testing {

inline constexpr std::uint32_t giver = 0, lost = 2;

struct Loss {
  explicit Loss(std::uint32_t rounds = 4, bool lose = true) : world(rounds) {
    world.turn_until([&] {
      return std::ranges::all_of(world.ranks, [](auto& one) { return one.round() == 2; });
    });
    world.ranks[lost].away = true;
    world.turn_until([&] { return world.borders[lost]->status() == "round 2, idle"; });
    world.ranks[giver].keep_generation(1);
    world.stop_border(lost);
    if (lose) posix_files().remove_all(run(lost));
    allow(giver);
    world.donor[lost] = SiteId{giver};
    world.start_border(lost);
  }
  FileSystem::Path run(std::uint32_t site) const { return world.site_folder(site) / "runs/demo"; }
  void allow(std::uint32_t site) {
    world.donate_to[site] = {SiteId{lost}};
    world.start_border(site);
  }
  void ask(std::uint32_t site) { write_donation_request(posix_files(), run(site), "sitec"); }
  bool asked(std::uint32_t site) const {
    return read_donation_request(posix_files(), run(site)).has_value();
  }
  std::optional<NeededState> needed() const { return read_needed_state(posix_files(), run(lost)); }
  bool here() const { return read_imported(posix_files(), run(lost)).has_value(); }
  std::string ledger(std::uint32_t site) const {
    return read_text(posix_files(), world.site_folder(site) / "ledger" / "log.jsonl");
  }
  std::size_t kept_at_hub() const {
    return posix_files().list(world.root.path() / "hub" / "relay" / "site-2").size();
  }
  std::size_t in_ledger(std::uint32_t site, const std::string& what) const {
    const std::string text = ledger(site);
    std::size_t count = 0;
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
    return count;
  }
  void turns(int count) {
    for (int i = 0; i < count; ++i) world.turn();
  }
  /// The job of the site that lost its state begins with what is here.
  void go_on(std::uint32_t from = 1) {
    world.ranks[lost].away = false;
    world.ranks[lost].begin_at(from);
    world.run_to_end();
    EXPECT_EQ(world.ranks[lost].round(), world.agreement.agreement.rounds);
    EXPECT_EQ(world.audit(), "");
  }

  BorderWorld world;
};

}  // namespace concordat::site::testing
