// `concordat coordinate`: the loop with the real world around it.
#include <charconv>

#include "concordat/border/errors.hpp"
#include "concordat/border/tls_road.hpp"
#include "concordat/coordinator/coordinator.hpp"
#include "concordat/coordinator/errors.hpp"
#include "concordat/core/log.hpp"
#include "concordat/crypto/process.hpp"

namespace concordat::coordinator {
namespace {

struct Address {
  std::string host;
  std::uint16_t port = 0;
};

/// "HOST:PORT" or "[V6]:PORT".
Address address_from(const std::string& text) {
  std::size_t colon = text.rfind(':');
  Address address;
  bool good = colon != std::string::npos && colon > 0;
  if (good) {
    address.host = text.substr(0, colon);
    if (address.host.size() > 2 && address.host.front() == '[' && address.host.back() == ']') {
      address.host = address.host.substr(1, address.host.size() - 2);
    }
    const char* end = text.data() + text.size();
    auto [at, status] = std::from_chars(text.data() + colon + 1, end, address.port);
    good = status == std::errc() && at == end;
  }
  if (good) return address;
  throw Error(border::errors::bad_address, {.what = "this is no address to listen on",
                                            .where = "coordinator.listen",
                                            .found = text,
                                            .expected = "HOST:PORT",
                                            .remedy = "write 0.0.0.0:7443, say"});
}

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
  Address address = address_from(settings.listen);
  auto budget = std::make_shared<border::ByteBudget>(settings.buffer_bytes);
  border::TlsCoordinatorOptions options;
  options.listen = address.host;
  options.port = address.port;
  options.budget = budget;
  options.spill_folder = settings.folder / "spill";
  auto road = border::make_tls_coordinator_road(options, papers.keys.tls, papers.keys.name,
                                                federation::make_directory(papers.plan.roster));
  log::info("listens on " + address.host + ":" + std::to_string(road->bound_port()) + " for " +
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
