#include "cli/doctor_subject.hpp"

#include <algorithm>
#include <sstream>

#include "cli/one_mpirun.hpp"
#include "cli/schema.hpp"
#include "cli/site_command.hpp"
#include "concordat/exact/lanes.hpp"
#include "concordat/exact/outer.hpp"
#include "concordat/model/declaration.hpp"
#include "concordat/parallel/canonical_space.hpp"
#include "concordat/site/generation_bytes.hpp"

namespace concordat::cli::doctor {
namespace {

constexpr std::uint64_t default_disk_mib = 256;
constexpr std::uint64_t longer_disk_mib = 2048;

std::set<std::string> topics_of(std::string_view flag, const std::string& list) {
  std::set<std::string> topics;
  std::istringstream in(list);
  for (std::string topic; std::getline(in, topic, ',');) {
    if (std::find(all_topics().begin(), all_topics().end(), topic) == all_topics().end()) {
      std::string known;
      for (const std::string& each : all_topics()) known += (known.empty() ? "" : ", ") + each;
      throw Error(errors::usage, {.what = "there is no such topic",
                                  .where = "concordat doctor --" + std::string(flag),
                                  .found = topic,
                                  .expected = known,
                                  .remedy = "concordat doctor --help"});
    }
    topics.insert(topic);
  }
  return topics;
}

/// With the agreement's values where the documents can be read; their faults are found elsewhere.
SiteConfig site_config(const Options& options) {
  try {
    return read_site_config(site_schema(), options.file, options.flags);
  } catch (const Error& error) {
    if (error.exit_code() == ExitCode::usage) throw;
    return {.config = Config::load(site_schema(), options.file, options.flags), .terms = {}};
  }
}

void read_site_subject(const Options& options, Subject& subject) {
  const SiteConfig read = site_config(options);
  subject.site = site_settings(read.config);
  subject.num_elements = static_cast<std::uint64_t>(
      parallel::CanonicalSpace(model::declare_parameters(subject.site->model)).num_elements());
  std::uint64_t shared_bytes = 0;  // the shared model, its moments, the feedback
  if (subject.site->federation) {
    const federation::RunAgreement terms =
        read.terms ? read.terms->agreement.agreement : agreement_from(read.config);
    shared_bytes = sizeof(float) * subject.num_elements *
                   static_cast<std::uint64_t>(2 + exact::num_moments(terms.outer.kind));
    const auto lane = static_cast<std::uint64_t>(exact::lane_bytes(terms.first_round.lane));
    subject.exchange_bytes = 2 * lane * subject.num_elements;
  }
  subject.generation_bytes = site::generation_bytes(subject.site->model, shared_bytes);
}

void read_coordinator_subject(const Options& options, Subject& subject) {
  const Config config = load_coordinator(options.file, options.flags);
  subject.coordinator = {.name = config.text("coordinator.name"),
                         .folder = resolve(config, config.text("coordinator.folder")),
                         .listen = config.text("coordinator.listen"),
                         .roster = resolve(config, config.text("federation.roster")),
                         .agreement = resolve(config, config.text("federation.agreement")),
                         .road = config.text("federation.road"),
                         .spool = {}};
  CoordinatorSubject& hub = *subject.coordinator;
  if (hub.road == "spool" || !config.text("coordinator.spool").empty()) {
    hub.spool = spool_folder(config, "coordinator.spool", hub.folder);
  }
}

}  // namespace

const std::vector<std::string>& all_topics() {
  static const auto& topics =
      *new std::vector<std::string>{"program", "config", "mpi",  "threads", "fabric", "files",
                                    "clock",   "keys",   "data", "reach",   "rates"};
  return topics;
}

Options options_from(const Args& args) {
  Args rest = expand_road_flag(args);
  Options options;
  options.json = take_flag(rest, "json").has_value();
  options.longer = take_flag(rest, "long").has_value();
  options.topics.insert(all_topics().begin(), all_topics().end());
  if (auto only = take_flag(rest, "only")) options.topics = topics_of("only", *only);
  if (auto skip = take_flag(rest, "skip")) {
    for (const std::string& topic : topics_of("skip", *skip)) options.topics.erase(topic);
  }
  if (auto wait = take_flag(rest, "wait")) {
    options.wait_s = whole_number("doctor", "wait", *wait, 1, 3600);
  }
  const auto mib = take_flag(rest, "disk-mib");
  options.disk_bytes = (mib              ? whole_number("doctor", "disk-mib", *mib, 4, 1 << 20)
                        : options.longer ? longer_disk_mib
                                         : default_disk_mib)
                       << 20U;
  if (!rest.empty() && rest[0].substr(0, 2) != "--") {
    options.file = rest[0];
    rest.erase(rest.begin());
  }
  if (options.file.empty() && !rest.empty()) {
    throw Error(errors::usage, {.what = "a flag that belongs to a configuration, and none is given",
                                .where = "concordat doctor",
                                .found = rest[0],
                                .expected = "SITE.toml or COORD.toml before it",
                                .remedy = "concordat doctor --help"});
  }
  options.flags = std::move(rest);
  return options;
}

Subject read_subject(const Options& options) {
  Subject subject;
  if (options.file.empty()) {
    subject.findings.push_back(ok("config",
                                  "none given: folders, keys, data and coordinator are "
                                  "not checked (concordat doctor SITE.toml)"));
    return subject;
  }
  attempt(subject.findings, "config", [&] {
    if (is_coordinator_file(options.file)) {
      read_coordinator_subject(options, subject);
    } else {
      read_site_subject(options, subject);
    }
    subject.findings.push_back(
        ok("config", options.file + " reads as the configuration of " +
                         (subject.site ? "site " + subject.site->name
                                       : "coordinator " + subject.coordinator->name)));
  });
  return subject;
}

}  // namespace concordat::cli::doctor
