// `concordat border`: from a configuration to a running loop over the tls or the spool road.
#include "concordat/border/reach.hpp"
#include "concordat/border/spool_road.hpp"
#include "concordat/border/tls_road.hpp"
#include "concordat/core/error.hpp"
#include "concordat/core/log.hpp"
#include "concordat/crypto/process.hpp"
#include "concordat/model/declaration.hpp"
#include "concordat/parallel/canonical_space.hpp"
#include "concordat/site/border_loop.hpp"
#include "site/border_pages.hpp"
#include "site/bring_back.hpp"
#include "site/watched_road.hpp"

namespace concordat::site {
namespace {

border::TlsSiteOptions dial_options(const std::string& text) {
  const border::Address address =
      border::parse_address(text, "federation.address, or the roster's address");
  border::TlsSiteOptions options;
  options.host = address.host;
  options.port = address.port;
  return options;
}

border::SpoolSiteOptions spool_options(const FederationSettings& federation) {
  border::SpoolSiteOptions options;
  options.folder = federation.spool;
  options.answer_limit = std::chrono::seconds(federation.spool_answer_s);
  return options;
}

constexpr std::chrono::seconds ask_every{60};

/// Whether the coordinator is there, while there is nothing to say to it. A message that comes is
/// not acknowledged, so it comes again when the loop wants it.
void ask(WatchedRoad& road, const std::string& address) {
  if (!road.manner().answers_at_once) return;
  const bool known = !road.trouble().empty();
  try {
    road.fetch(std::chrono::milliseconds(0));
    if (known) log::info("the coordinator at " + address + " answers now");
  } catch (const Error& error) {
    if (!known) {
      log::warn("the coordinator at " + address +
                " does not answer; this border tries again until it does: " + error.what());
    }
  }
}

/// The exchange in which the ranks can mask now.
std::string masking(const BorderLoop::Position& position) {
  return position.phase == "going" ? ExchangeId{position.round, {}, {}}.text() : "";
}

ExitCode run_loop(const SiteSettings& settings, const std::string& address, border::SiteRoad& road,
                  BorderPlan plan, const crypto::SiteKeys& keys) {
  FileSystem& fs = posix_files();
  Clock& clock = system_clock();
  BorderPages pages(
      fs, clock, settings.run_folder(),
      {.site = settings.name,
       .coordinator = address,
       .spool =
           settings.spools()
               ? std::filesystem::absolute(settings.federation->spool).lexically_normal().string()
               : "",
       .rounds = plan.agreement.agreement.rounds});
  WatchedRoad watched(road, clock, [&] { pages.show(watched); });
  BorderLoop loop({fs, clock, crypto::system_random(), watched}, std::move(plan), keys);
  log::info("coordinator at " + address + ", " + loop.status());
  pages.show(loop.position(), watched);
  BringBack back(fs, clock, settings.run_folder(), settings.job.bring_back);
  try {
    ask(watched, address);
    while (loop.turn()) {
      pages.show(loop.position(), watched);
      back.look(masking(loop.position()));
      if (loop.position().phase != "idle") continue;
      if (clock.monotonic() - watched.tried() >= ask_every) ask(watched, address);
    }
  } catch (const Error& error) {
    pages.end(error.code().name);
    throw;
  }
  pages.show(loop.position(), watched);
  pages.end(loop.exit_code() == ExitCode::done ? "done" : "saved");
  return loop.exit_code();
}

struct Papers {
  crypto::SiteKeys keys;
  BorderPlan plan;
};

Papers load_papers(const SiteSettings& settings) {
  CONCORDAT_REQUIRE(settings.federation.has_value(), settings.name);
  crypto::disable_core_dumps();
  log::set_role("border " + settings.name);
  FileSystem& fs = posix_files();
  crypto::SiteKeys keys = crypto::load_site_keys(fs, settings.folder / "keys");
  if (keys.name != settings.name) {
    throw Error(errors::usage, {.what = "the keys are another site's",
                                .where = (settings.folder / "keys").string(),
                                .found = "keys of " + keys.name,
                                .expected = "keys of " + settings.name,
                                .remedy = "correct site.name or site.folder"});
  }
  BorderPlan plan;
  plan.site_folder = settings.folder;
  plan.run_folder = settings.run_folder();
  plan.limits.margin = std::chrono::seconds(settings.job.stop_margin_s);
  plan.roster = federation::load_roster(fs, settings.federation->roster);
  plan.agreement = federation::load_agreement(fs, settings.federation->agreement, plan.roster);
  const auto site_named = [&](const std::string& name, const char* key) {
    const SiteId id = plan.roster.roster.id_of(name);
    if (id != coordinator_id && name != settings.name) return id;
    throw Error(errors::usage, {.what = "a state goes from one site of the roster to another",
                                .where = std::string("federation.") + key,
                                .found = name,
                                .expected = "the name of another site",
                                .remedy = "correct it in the configuration"});
  };
  if (!settings.federation->donor.empty()) {
    plan.donor = site_named(settings.federation->donor, "donor");
  }
  for (const std::string& name : settings.federation->donate_to) {
    plan.donate_to.push_back(site_named(name, "donate_to"));
  }
  if (!plan.donate_to.empty()) {
    const auto specs = model::declare_parameters(settings.model);
    const parallel::CanonicalSpace space(specs);
    const int log2 = static_cast<int>(plan.agreement.agreement.block_log2);
    for (std::int64_t block = 0; block < space.num_blocks(log2); ++block) {
      plan.scales_per_block.push_back(
          static_cast<std::uint32_t>(parallel::spans_of_block(space, log2, block).size()));
    }
  }
  if (plan.agreement.agreement.run != settings.run) {
    throw Error(errors::usage, {.what = "the agreement is of another run",
                                .where = settings.federation->agreement.string(),
                                .found = plan.agreement.agreement.run,
                                .expected = settings.run,
                                .remedy = "set run.name to the agreement's"});
  }
  return {std::move(keys), std::move(plan)};
}

}  // namespace

ExitCode run_border(const SiteSettings& settings) {
  Papers papers = load_papers(settings);
  const border::PeerDirectory peers = federation::make_directory(papers.plan.roster);
  if (settings.federation->road == "spool") {
    const border::Identity me{papers.plan.roster.roster.id_of(settings.name), papers.keys.signing,
                              papers.keys.sealing};
    auto spool = border::make_spool_site_road(spool_options(*settings.federation), me,
                                              papers.keys.tls, peers);
    const std::string where = "the far end of " + settings.federation->spool.string();
    return run_loop(settings, where, *spool, std::move(papers.plan), papers.keys);
  }
  std::string address = settings.federation->address;
  if (address.empty()) address = papers.plan.roster.roster.address;
  auto tls =
      border::make_tls_site_road(dial_options(address), papers.keys.tls, papers.keys.name, peers);
  return run_loop(settings, address, *tls, std::move(papers.plan), papers.keys);
}

ExitCode run_border(const SiteSettings& settings, const BorderRoad& road) {
  Papers papers = load_papers(settings);
  auto made = road.make();
  return run_loop(settings, road.name, *made, std::move(papers.plan), papers.keys);
}

}  // namespace concordat::site
