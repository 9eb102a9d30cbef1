// `concordat train`: the training job of a site, on every rank.
#include <iostream>

#include "cli/check.hpp"
#include "cli/command.hpp"
#include "cli/site_command.hpp"
#include "concordat/comm/agree.hpp"
#include "concordat/comm/pinning.hpp"
#include "concordat/comm/runtime.hpp"
#include "concordat/core/log.hpp"
#include "concordat/crypto/process.hpp"
#include "concordat/device/pinning.hpp"

namespace concordat::cli {
namespace {

std::string help() {
  return "concordat train: trains a site's model on the ranks of one mpirun or srun.\n\n"
         "usage:\n"
         "  mpirun --bind-to none -n RANKS concordat train SITE.toml [--key=value ...]\n"
         "  concordat train --check FILE.toml [--ranks=N]\n"
         "        prints layout, memory, blocks, bytes per round and the initial state digest,\n"
         "        and stops. FILE is a site's or a federation's common file; N is one replica's\n"
         "        ranks (tp x pp x cp) unless given.\n\n"
         "Without [federation] the site trains alone. With it, 'concordat border SITE.toml' must\n"
         "run beside this job, now or later: the ranks open no socket; they leave masked blocks\n"
         "in the run folder and wait there for the aggregate.\n\n"
         "Stops: USR1 or the batch system's end time save and exit 75 and leave a file REQUEUE;\n"
         "a file STOP in the run folder saves and exits 75 without it; a file SAVE saves and goes\n"
         "on. Send USR1, never TERM, to mpirun. The same command continues the run.\n\n"
         "Several jobs on one machine: --bind-to none, --mca mpi_yield_when_idle 1 and\n"
         "train.threads as many as the job may use. train.pin = on where the machine is this\n"
         "job's alone and no batch system says so.\n\n"
         "keys (in SITE.toml as [section] key = value, or as flags):\n" +
         site_schema().help();
}

/// Says where the ranks run, and pins their threads if train.pin has it so. Collective.
void place(comm::Communicator& comm, const site::LocalSettings& local) {
  const auto report = comm::placement_report(comm, local.threads);
  if (comm.rank() == 0) {
    for (const std::string& line : report.lines) log::info(line);
    for (const std::string& line : report.warnings) log::warn(line);
  }
  const auto mode = local.pin == "on"    ? comm::PinMode::on
                    : local.pin == "off" ? comm::PinMode::off
                                         : comm::PinMode::automatic;
  comm::PinPlan plan;
  comm::agreed(comm, [&] {
    plan = comm::plan_pins(report.ranks, mode);
    const auto& own = plan.own[static_cast<std::size_t>(comm.rank())];
    if (!own.empty()) device::pin_threads(own, local.threads);
  });
  if (comm.rank() != 0) return;
  for (const std::string& line : plan.lines) log::info(line);
}

int train(const Args& args) {
  // MPI wants its own argc and argv; it takes nothing from ours.
  static char program[] = "concordat";
  static char* argv_storage[] = {program, nullptr};
  int argc = 1;
  char** argv = argv_storage;
  comm::Runtime runtime = comm::Runtime::start(argc, argv);
  return runtime.run(
      [&](comm::Communicator& comm) {
        SiteInput input = read_site("train", args);
        log::set_role("train " + input.settings.name +
                      (comm.size() > 1 ? " rank " + std::to_string(comm.rank()) : ""));
        place(comm, input.settings.local);
        site::JobSeams seams{posix_files(), system_clock(), crypto::system_random()};
        return static_cast<int>(site::run_training(input.settings, input.terms, comm, seams));
      },
      [](const std::exception& error) { log::error(error.what()); });
}

int run(const Args& given) {
  Args args = given;
  if (take_flag(args, "check")) {
    auto ranks = take_flag(args, "ranks");
    std::cout << check_text(args, ranks);
    return 0;
  }
  if (!crypto::disable_core_dumps()) log::warn("core dumps could not be switched off");
  return train(args);
}

}  // namespace

const Command train_command{"train", "train a site's model, alone or in a federation", help, run};

}  // namespace concordat::cli
