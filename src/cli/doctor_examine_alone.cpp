#include "cli/doctor_examine_alone.hpp"

#include <unistd.h>

#include "cli/doctor_parties.hpp"
#include "concordat/border/tls_road.hpp"
#include "concordat/checkpoint/hdf5_probe.hpp"
#include "concordat/comm/mpi_facts.hpp"
#include "concordat/core/kill_point.hpp"
#include "concordat/crypto/library.hpp"
#include "concordat/observe/progress.hpp"
#include "concordat/site/border_page.hpp"

namespace concordat::cli::doctor {
namespace {

constexpr std::chrono::milliseconds reach_limit{10'000};

/// What one check leaves for the next: keys and documents are read once.
struct Papers {
  std::optional<crypto::SiteKeys> keys;
  std::optional<federation::SignedRoster> roster;
};

border::TlsSiteOptions dial_options(const border::Address& to) {
  border::TlsSiteOptions options;
  options.host = to.host;
  options.port = to.port;
  options.connect_limit = reach_limit;
  options.stall_limit = reach_limit;
  return options;
}

ReachSeams machine_road(const Papers& papers) {
  return {.reach = [](const border::Address& to) { return border::reach_out(to, reach_limit); },
          .ask =
              [&papers](const border::Address& to) {
                auto road = border::make_tls_site_road(dial_options(to), papers.keys->tls,
                                                       papers.keys->name,
                                                       federation::make_directory(*papers.roster));
                // A message that waits for this site stays there: nothing is acknowledged.
                road->fetch(std::chrono::milliseconds(0));
              }};
}

FolderRequest run_folder_request(const Options& options, const Subject& subject) {
  // Those that are kept, and the next while it is written.
  const auto generations = static_cast<std::uint64_t>(subject.site->checkpoint.keep) + 1;
  FolderRequest request{.folder = subject.site->run_folder(), .name = "run folder"};
  request.least_bytes = subject.generation_bytes;
  request.needed_bytes = generations * subject.generation_bytes + subject.exchange_bytes;
  request.need = std::to_string(generations) + " checkpoints of " +
                 observe::short_bytes(subject.generation_bytes) +
                 (subject.exchange_bytes > 0 ? " and a round's blocks" : "");
  request.only_owner = true;
  request.hdf5 = true;
  for (const auto& [name, value] : options.environment) {
    if (name == "HDF5_USE_FILE_LOCKING") request.hdf5_locking = value;
  }
  request.rate_bytes = options.disk_bytes;
  return request;
}

Findings spool_of_site(const Subject& subject, int ranks) {
  const site::SiteSettings& site = *subject.site;
  return check_spool(posix_files(),
                     {.folder = site.federation->spool,
                      .needed_bytes = subject.exchange_bytes,
                      .runs = role_holder(site.folder / "border.lock").has_value(),
                      .only_border = ranks > 1},
                     system_clock().unix_seconds());
}

Findings spools_of_coordinator(const CoordinatorSubject& subject,
                               const federation::Roster& roster) {
  const bool runs = role_holder(subject.folder / "coordinator.lock").has_value();
  Findings findings;
  for (const auto& member : roster.sites) {
    append(findings, check_spool(posix_files(),
                                 {.folder = subject.spool / member.name,
                                  .end = SpoolEnd::coordinator,
                                  .site = member.name,
                                  .key = "coordinator.spool",
                                  .runs = runs},
                                 system_clock().unix_seconds()));
  }
  return findings;
}

Findings reach_of_site(const Subject& subject, const Papers& papers, int ranks) {
  const site::SiteSettings& site = *subject.site;
  if (!site.federation) return {ok("reach", "this site trains alone: it needs no coordinator")};
  ReachRequest request{.address = site.federation->address,
                       .origin = "federation.address",
                       .border = role_holder(site.folder / "border.lock").value_or(""),
                       .trouble = {},
                       .only_border = ranks > 1};
  if (const auto page = site::read_border_page(posix_files(), site.run_folder())) {
    request.trouble = page->end.empty() ? page->trouble : "";
  }
  if (subject.takes_mpi_road()) return check_mpi_road(papers.roster ? &*papers.roster : nullptr);
  if (site.spools()) return spool_of_site(subject, ranks);
  if (!papers.roster) {
    return {warn("reach", "not checked: the roster does not verify", "see the findings on keys")};
  }
  if (request.address.empty()) {
    request.address = papers.roster->roster.address;
    request.origin = "the roster";
  }
  if (!papers.keys) {
    return {
        warn("reach", "not checked: this site's keys cannot be used", "see the findings on keys")};
  }
  return check_reach(request, machine_road(papers));
}

Findings reach_of_coordinator(const Subject& parties, const Papers& papers) {
  if (parties.takes_mpi_road()) return check_mpi_road(papers.roster ? &*papers.roster : nullptr);
  const CoordinatorSubject& subject = *parties.coordinator;
  if (!papers.roster || !papers.keys) {
    return {
        warn("reach", "not checked: keys or roster cannot be used", "see the findings on keys")};
  }
  Findings findings;
  if (!subject.spool.empty()) findings = spools_of_coordinator(subject, papers.roster->roster);
  if (subject.road == "spool") return findings;
  append(findings, check_listen(subject.listen, papers.roster->roster.address,
                                role_holder(subject.folder / "coordinator.lock").value_or(""),
                                machine_road(papers), [&](const border::Address& own) {
                                  border::TlsCoordinatorOptions options;
                                  options.listen = own.host;
                                  options.port = own.port;
                                  options.spill_folder = subject.folder / "spill";
                                  border::make_tls_coordinator_road(
                                      options, papers.keys->tls, papers.keys->name,
                                      federation::make_directory(*papers.roster));
                                }));
  return findings;
}

Findings papers_of(Papers& papers, const Path& folder, const DocumentRequest& request) {
  FileSystem& fs = posix_files();
  KeyCheck keys = check_keys(fs, folder / "keys", request.name);
  papers.keys = std::move(keys.keys);
  Findings findings = std::move(keys.findings);
  if (request.roster.empty()) return findings;
  DocumentCheck documents = check_documents(fs, request, papers.keys ? &*papers.keys : nullptr);
  papers.roster = std::move(documents.roster);
  append(findings, std::move(documents.findings));
  return findings;
}

Findings data_of(const Options& options, const Subject& subject, const Papers& papers) {
  if (!papers.keys) {
    return {
        warn("data", "not checked: this site's keys cannot be used", "see the findings on keys")};
  }
  const site::SiteSettings& site = *subject.site;
  return check_data(posix_files(),
                    {.folder = site.folder / "data",
                     .names = site.datasets,
                     .tokenizer = site.tokenizer,
                     .vocabulary = site.model.vocab,
                     .length = static_cast<std::uint64_t>(site.inner.length),
                     .every_byte = options.longer},
                    papers.keys->data_key.view());
}

DocumentRequest documents_of(const Subject& subject) {
  DocumentRequest request;
  if (subject.site) {
    request.name = subject.site->name;
    request.run = subject.site->run;
    if (subject.site->federation) {
      request.roster = subject.site->federation->roster;
      request.agreement = subject.site->federation->agreement;
    }
  } else {
    request.name = subject.coordinator->name;
    request.roster = subject.coordinator->roster;
    request.agreement = subject.coordinator->agreement;
    request.coordinator = true;
  }
  return request;
}

}  // namespace

void gather_program(ProgramFacts& facts) {
  facts.version = CONCORDAT_VERSION " (" CONCORDAT_BUILD ")";
  facts.kill_points = kill_points_compiled();
  facts.crypto = crypto::library_in_use();
  const auto hdf5 = checkpoint::hdf5_versions();
  facts.hdf5 = hdf5.loaded;
  facts.hdf5_built = hdf5.built_with;
  const auto mpi = comm::mpi_facts();
  facts.mpi = mpi.library + " (MPI " + mpi.standard + ")";
}

std::vector<std::pair<std::string, std::string>> whole_environment() {
  std::vector<std::pair<std::string, std::string>> list;
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
    const std::string entry = *at;
    const std::size_t equals = entry.find('=');
    if (equals == std::string::npos) continue;
    list.emplace_back(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return list;
}

std::vector<std::function<Findings()>> checks_alone(const Options& options, const Subject& subject,
                                                    int ranks) {
  std::vector<std::function<Findings()>> checks;
  const bool known = subject.site || subject.coordinator;
  const Path folder = subject.site          ? subject.site->folder
                      : subject.coordinator ? subject.coordinator->folder
                                            : Path();
  auto papers = std::make_shared<Papers>();
  if (known && options.wants("files")) {
    checks.emplace_back([&options, &subject, folder] {
      FolderRequest request{.folder = folder,
                            .name = subject.site ? "site folder" : "coordinator's folder"};
      if (subject.coordinator) request.rate_bytes = options.disk_bytes;
      return check_folder(machine_files(), request);
    });
    if (subject.site) {
      checks.emplace_back([&options, &subject] {
        return check_folder(machine_files(), run_folder_request(options, subject));
      });
    }
  }
  if (options.wants("clock")) {
    checks.emplace_back([folder] { return check_clock(machine_files(), folder); });
  }
  if (!known) return checks;
  // Keys are read for data and road too; what is not wanted is not shown.
  checks.emplace_back([&options, &subject, papers, folder] {
    Findings findings = papers_of(*papers, folder, documents_of(subject));
    return options.wants("keys") ? findings : Findings();
  });
  if (subject.site && options.wants("data")) {
    checks.emplace_back(
        [&options, &subject, papers] { return data_of(options, subject, *papers); });
  }
  if (options.wants("reach")) {
    checks.emplace_back([&subject, papers, ranks] {
      return subject.site ? reach_of_site(subject, *papers, ranks)
                          : reach_of_coordinator(subject, *papers);
    });
  }
  return checks;
}

}  // namespace concordat::cli::doctor
