// What a doctor was asked to look at: options, and what the configuration says.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cli/command.hpp"
#include "cli/doctor.hpp"
#include "cli/party_file.hpp"
#include "concordat/site/settings.hpp"

namespace concordat::cli::doctor {

struct Options {
  std::string file{};  ///< SITE.toml or COORD.toml; empty: the machine alone
  Args flags{};        ///< --key=value of the configuration
  bool json = false;
  bool longer = false;
  std::set<std::string> topics{};  ///< that are checked
  std::uint64_t wait_s = 120;      ///< for a rank that does not answer
  std::uint64_t disk_bytes = 0;    ///< of the file that rates are measured with
  bool one_mpirun = false;         ///< of several parties: launch and threads are looked at for all
  /// Of this process before it started MPI, which sets variables of its own.
  std::vector<std::pair<std::string, std::string>> environment{};
  bool wants(const std::string& topic) const { return topics.contains(topic); }
};
/// @throws Error(usage).
Options options_from(const Args& args);
/// All topics, in the order of the report.
const std::vector<std::string>& all_topics();

struct CoordinatorSubject {
  std::string name;
  std::filesystem::path folder;
  std::string listen;
  std::filesystem::path roster;
  std::filesystem::path agreement;
  std::string road{};
  std::filesystem::path spool{};  ///< empty: none is served
};

struct Subject {
  Findings findings{};  ///< of the configuration itself
  std::optional<site::SiteSettings> site{};
  std::optional<CoordinatorSubject> coordinator{};
  std::uint64_t num_elements = 0;    ///< of the site's model
  std::uint64_t exchange_bytes = 0;  ///< that one round leaves in the run folder
  std::uint64_t generation_bytes = 0;
  bool takes_mpi_road() const {
    if (coordinator) return coordinator->road == "mpi";
    return site && site->federation && site->federation->road == "mpi";
  }
};
/// Never throws Error: what is wrong with the configuration is a finding.
Subject read_subject(const Options& options);

}  // namespace concordat::cli::doctor
