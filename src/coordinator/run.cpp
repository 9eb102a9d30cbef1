// `concordat coordinate`: the loop with the real world around it.
#include "concordat/border/reach.hpp"
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
  plan.keep_rounds = settings.keep_rounds;
  plan.roster = federation::load_roster(fs, settings.roster);
  plan.agreement = federation::load_agreement(fs, settings.agreement, plan.roster);
  return {std::move(keys), std::move(plan)};
}

ExitCode run_loop(Papers papers, border::CoordinatorRoad& road, border::ByteBudget& budget) {
  CoordinatorLoop loop({posix_files(), system_clock(), crypto::system_random(), road, budget},
                       std::move(papers.plan), papers.keys);
  while (loop.turn()) {
  }
  return loop.exit_code();
}

}  // namespace

ExitCode run_coordinator(const CoordinatorSettings& settings) {
  Papers papers = load_papers(settings);
  const border::Address address =
      border::parse_address(settings.listen, "coordinator.listen", border::Port::to_listen);
  auto budget = std::make_shared<border::ByteBudget>(settings.buffer_bytes);
  border::TlsCoordinatorOptions options;
  options.listen = address.host;
  options.port = address.port;
  options.budget = budget;
  options.spill_folder = settings.folder / "spill";
  auto road = border::make_tls_coordinator_road(options, papers.keys.tls, papers.keys.name,
                                                federation::make_directory(papers.plan.roster));
  // As it was given, brackets too; the port may be the system's choice.
  log::info("listens on " + settings.listen.substr(0, settings.listen.rfind(':')) + ":" +
            std::to_string(road->bound_port()) + " for " +
            std::to_string(papers.plan.roster.roster.num_sites()) + " sites");
  return run_loop(std::move(papers), *road, *budget);
}

ExitCode run_coordinator(const CoordinatorSettings& settings, const CoordinatorRoadMaker& make) {
  Papers papers = load_papers(settings);
  auto budget = std::make_shared<border::ByteBudget>(settings.buffer_bytes);
  auto road = make(budget, federation::make_directory(papers.plan.roster));
  return run_loop(std::move(papers), *road, *budget);
}

}  // namespace concordat::coordinator
