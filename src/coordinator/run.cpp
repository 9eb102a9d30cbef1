// `concordat coordinate`: the loop with the real world around it.
#include "concordat/border/joined_road.hpp"
#include "concordat/border/reach.hpp"
#include "concordat/border/spool_road.hpp"
#include "concordat/border/tls_road.hpp"
#include "concordat/coordinator/coordinator.hpp"
#include "concordat/coordinator/errors.hpp"
#include "concordat/core/log.hpp"
#include "concordat/crypto/process.hpp"

namespace concordat::coordinator {
namespace {

struct Papers {
  crypto::SiteKeys keys;
  CoordinatorPlan plan;
};

Papers load_papers(const CoordinatorSettings& settings) {
  if (!crypto::disable_core_dumps()) log::warn("core dumps cannot be switched off here");
  FileSystem& fs = posix_files();
  crypto::SiteKeys keys = crypto::load_site_keys(fs, settings.folder / "keys");
  if (keys.name != settings.name) {
    throw Error(errors::not_coordinator, {.what = "the keys in the folder are another party's",
                                          .where = (settings.folder / "keys").string(),
                                          .found = keys.name,
                                          .expected = settings.name,
                                          .remedy = "check coordinator.name and .folder"});
  }
  CoordinatorPlan plan;
  plan.folder = settings.folder;
  plan.deadline = settings.deadline;
  if (!settings.spool.empty()) plan.spool = std::filesystem::absolute(settings.spool);
  plan.keep_rounds = settings.keep_rounds;
  plan.roster = federation::load_roster(fs, settings.roster);
  plan.agreement = federation::load_agreement(fs, settings.agreement, plan.roster);
  return {std::move(keys), std::move(plan)};
}

ExitCode run_loop(const Papers& papers, border::CoordinatorRoad& road, border::ByteBudget& budget) {
  CoordinatorLoop loop({posix_files(), system_clock(), crypto::system_random(), road, budget},
                       papers.plan, papers.keys);
  while (loop.turn()) {
  }
  return loop.exit_code();
}

std::unique_ptr<border::CoordinatorRoad> listen(const CoordinatorSettings& settings,
                                                const crypto::SiteKeys& keys,
                                                const border::PeerDirectory& peers,
                                                const std::shared_ptr<border::ByteBudget>& budget) {
  const border::Address address =
      border::parse_address(settings.listen, "coordinator.listen", border::Port::to_listen);
  border::TlsCoordinatorOptions options;
  options.listen = address.host;
  options.port = address.port;
  options.budget = budget;
  options.spill_folder = settings.folder / "spill";
  auto road = border::make_tls_coordinator_road(options, keys.tls, keys.name, peers);
  // As it was given, brackets too; the port may be the system's choice.
  log::info("listens on " + settings.listen.substr(0, settings.listen.rfind(':')) + ":" +
            std::to_string(road->bound_port()) + " for " + std::to_string(peers.sites().size()) +
            " sites");
  return road;
}

}  // namespace

ExitCode run_coordinator(const CoordinatorSettings& settings) {
  const Papers papers = load_papers(settings);
  auto budget = std::make_shared<border::ByteBudget>(settings.buffer_bytes);
  const crypto::SiteKeys& keys = papers.keys;
  const border::PeerDirectory peers = federation::make_directory(papers.plan.roster);
  const border::Identity me{coordinator_id, keys.signing, keys.sealing};
  std::vector<std::unique_ptr<border::CoordinatorRoad>> roads;
  if (!settings.listen.empty()) roads.push_back(listen(settings, keys, peers, budget));
  if (!settings.spool.empty()) {
    border::SpoolCoordinatorOptions options;
    options.folder = settings.spool;
    options.answer_limit = settings.spool_answer;
    options.budget = budget;
    roads.push_back(border::make_spool_coordinator_road(options, me, keys.tls, peers));
    log::info("looks into " + settings.spool.string() + " for sites that have a spool");
  }
  const auto road = border::join_roads(std::move(roads));
  return run_loop(papers, *road, *budget);
}

ExitCode run_coordinator(const CoordinatorSettings& settings, const CoordinatorRoadMaker& make) {
  const Papers papers = load_papers(settings);
  auto budget = std::make_shared<border::ByteBudget>(settings.buffer_bytes);
  auto road = make(budget, federation::make_directory(papers.plan.roster));
  return run_loop(papers, *road, *budget);
}

}  // namespace concordat::coordinator
