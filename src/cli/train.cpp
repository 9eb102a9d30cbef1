// `concordat train`: the training job of a site, on every rank.
#include <exception>
#include <iostream>
#include <optional>

#include "cli/check.hpp"
#include "cli/command.hpp"
#include "cli/one_mpirun.hpp"
#include "cli/site_command.hpp"
#include "concordat/comm/agree.hpp"
#include "concordat/comm/pinning.hpp"
#include "concordat/core/log.hpp"
#include "concordat/core/stop.hpp"
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
         "One mpirun for the whole federation, if the roster allows it "
         "(docs/formats/mpi-road.md):\n"
         "  mpirun -n 1 concordat coordinate HUB.toml --road=mpi : \\\n"
         "         -n 1 concordat border A.toml --road=mpi : -n 2 concordat train A.toml "
         "--road=mpi : ...\n\n"
         "keys (in SITE.toml as [section] key = value, or as flags):\n" +
         site_schema().help();
}

/// Says where the ranks run, and pins their threads if train.pin has it so. Collective.
/// `shared_job`: other parties are in the same mpirun, and this site's ranks do not see theirs.
void place(comm::Communicator& comm, const site::LocalSettings& local, bool shared_job) {
  const auto report = comm::placement_report(comm, local.threads, shared_job);
  if (comm.rank() == 0) {
    for (const std::string& line : report.lines) log::info(line);
    for (const std::string& line : report.warnings) log::warn(line);
  }
  // What the batch system gave to the job is not this site's alone then.
  const bool off = local.pin == "off" || (local.pin == "auto" && shared_job);
  const auto mode = local.pin == "on" ? comm::PinMode::on
                    : off             ? comm::PinMode::off
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
  // A request to stop that comes while MPI and the model are set up is kept.
  StopRequests::catch_signals();
  comm::Runtime runtime = start_runtime();
  // Read before the ranks of the site find each other, because they do so by its name; what is
  // wrong with it is said afterwards, so that the whole job hears of it.
  std::optional<SiteInput> input;
  std::exception_ptr fault;
  try {
    input = read_site("train", args);
  } catch (const std::exception&) {
    fault = std::current_exception();
  }
  const std::string name = input ? input->settings.name : "";
  return runtime.run_as(
      {comm::Role::train, name},
      [&](comm::Split& split) {
        if (fault) std::rethrow_exception(fault);
        comm::Communicator& comm = *split.ranks;
        log::set_role("train " + name +
                      (comm.size() > 1 ? " rank " + std::to_string(comm.rank()) : ""));
        const auto& federation = input->settings.federation;
        if (federation && federation->road == "mpi") {
          require_one_mpirun(split, input->terms->roster);
        }
        const auto size = static_cast<std::size_t>(comm.size());
        place(comm, input->settings.local, size < split.seats.size());
        site::JobSeams seams{posix_files(), system_clock(), crypto::system_random()};
        return static_cast<int>(site::run_training(input->settings, input->terms, comm, seams));
      },
      [](const std::exception& error) { log::error(error.what()); });
}

int run(const Args& given) {
  Args args = expand_road_flag(given);
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
