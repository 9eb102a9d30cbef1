// `concordat doctor`: whether a site, a job or a coordinator would work here, and what to do.
#include <cstdlib>
#include <iostream>
#include <thread>

#include "cli/command.hpp"
#include "cli/doctor_checks.hpp"
#include "cli/doctor_examine.hpp"
#include "cli/doctor_examine_alone.hpp"
#include "cli/doctor_parties.hpp"
#include "concordat/comm/mpi_facts.hpp"
#include "concordat/core/log.hpp"
#include "concordat/crypto/process.hpp"

namespace concordat::cli {
namespace {

using namespace doctor;

std::string help() {
  std::string topics;
  for (const std::string& topic : all_topics()) topics += (topics.empty() ? "" : " ") + topic;
  return "concordat doctor: checks and measures what a run needs, before it does; each finding "
         "has\n"
         "a remedy.\n\n"
         "usage:\n"
         "  concordat doctor [SITE.toml | COORD.toml] [--key=value ...]\n"
         "  mpirun -n RANKS concordat doctor SITE.toml\n"
         "  srun --mpi=pmix -n RANKS concordat doctor SITE.toml\n"
         "        the same on the nodes of a job: also ranks, binding, all-reduce, locks and\n"
         "        clocks between nodes.\n"
         "  mpirun -n 1 concordat doctor HUB.toml --road=mpi : -n 3 concordat doctor A.toml ... : "
         "...\n"
         "        all parties of the mpi road, in the place of coordinate, border and train.\n\n"
         "  --json          findings and figures for machines\n"
         "  --long          longer measurements, and every byte of the datasets\n"
         "  --only=A,B      these topics alone; --skip=A,B: all but these. Topics:\n"
         "                  " +
         topics +
         "\n"
         "  --disk-mib=N    size of the file that rates are measured with (256; --long: 2048)\n"
         "  --wait=SECONDS  for a rank that does not answer, before it is named (120)\n\n"
         "One line a finding: ok, warn or FAIL, topic, what was found; under it the remedy.\n"
         "It writes below the site's folder, in .concordat-doctor-PID, and removes that again.\n"
         "With the site's own keys it asks the coordinator one question that changes nothing;\n"
         "where the site's border runs, it leaves that to it.\n\n"
         "exit codes: 0 nothing fails, 64 usage, 65 something fails\n";
}

/// Where a launcher started many processes that do not know each other, one speaks.
bool speaks() {
  const std::string rank = value_of(from_machine, "SLURM_PROCID");
  return rank.empty() || rank == "0";
}

int run(const Args& args) {
  Options options = options_from(args);
  options.environment = whole_environment();
  if (!crypto::disable_core_dumps()) log::warn("core dumps could not be switched off");
  const auto print = [&](const Findings& findings) {
    std::cout << (options.json ? json_of(findings) : text_of(findings)) << std::flush;
  };
  const auto alone = [&](Findings begun) {
    if (!speaks()) return static_cast<int>(exit_code(begun));
    auto self = comm::self_communicator();
    return static_cast<int>(examine(*self, options, std::move(begun), print));
  };
  if (auto finding = check_step(comm::mpi_library(), from_machine)) return alone({*finding});
  // A coordinator needs no MPI.
  if (is_coordinator_file(options.file) && !comm::launcher_size(from_machine)) return alone({});
  static char program[] = "concordat";
  static char* argv_storage[] = {program, nullptr};
  int argc = 1;
  char** argv = argv_storage;
  std::optional<comm::Runtime> runtime;
  try {
    const comm::CommOptions wait{.stall_timeout = std::chrono::seconds(options.wait_s)};
    runtime.emplace(comm::Runtime::start(argc, argv, wait));
  } catch (const Error& error) {
    return alone({failed("mpi", error)});
  }
  std::optional<comm::Split> split;
  try {
    split.emplace(runtime->split({}));
    comm::Communicator& ranks = *split->ranks;
    const bool several = ranks.size() > 1 && of_several_parties(ranks, options);
    return static_cast<int>(several ? examine_parties(ranks, options, print)
                                    : examine(ranks, options, {}, print));
  } catch (const Error& error) {
    // The first rank has printed what it knows; the others give it the time to.
    if (!split || split->ranks->rank() != 0) {
      log::error(error.what());
      std::this_thread::sleep_for(std::chrono::seconds(3));
    }
    if (split) split->ranks->fail(error);
    runtime->abort(ExitCode::data);
  }
}

}  // namespace

const Command doctor_command{"doctor", "check and measure what a run needs here, with remedies",
                             help, run};

}  // namespace concordat::cli
