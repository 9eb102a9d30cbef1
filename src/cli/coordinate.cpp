// `concordat coordinate`: adds masked blocks and runs rounds.
#include "cli/command.hpp"
#include "cli/one_mpirun.hpp"
#include "cli/party_file.hpp"
#include "cli/schema.hpp"
#include "concordat/coordinator/coordinator.hpp"
#include "concordat/core/error.hpp"
#include "concordat/core/log.hpp"
#include "concordat/core/stop.hpp"
#include "concordat/crypto/process.hpp"

namespace concordat::cli {
namespace {

std::string help() {
  return "concordat coordinate: adds the sites' masked blocks and runs the rounds.\n\n"
         "usage:\n"
         "  concordat coordinate COORDINATOR.toml [--key=value ...]\n\n"
         "It holds no model and sees no single site's update, but it does see the sums, and with\n"
         "the initial state it could know the model. Its memory depends neither on the model's\n"
         "size nor on the number of sites. It waits for a missing site for as long as it takes,\n"
         "or as coordinator.deadline_s says, and says for whom. It ends by itself, with 0, when\n"
         "every site has proved the same final state; USR1, TERM or a file STOP in its folder end\n"
         "it with 75. Killed, it goes on with the same command.\n\n"
         "With --road=mpi it is one process of the mpirun that holds all parties, if the roster\n"
         "allows that, and ends with it (docs/formats/mpi-road.md).\n\n"
         "keys:\n" +
         coordinator_schema().help();
}

int run(const Args& given) {
  // A request to stop that comes while the documents are read and MPI starts is kept.
  StopRequests::catch_signals();
  const Args args = expand_road_flag(given);
  if (args.empty() || args[0].substr(0, 2) == "--") {
    throw Error(errors::usage, {.what = "a configuration file is missing",
                                .where = "concordat coordinate",
                                .found = args.empty() ? "nothing" : args[0],
                                .expected = "COORDINATOR.toml first, then --key=value flags",
                                .remedy = "concordat coordinate --help"});
  }
  if (!crypto::disable_core_dumps()) log::warn("core dumps could not be switched off");
  Config config = load_coordinator(args[0], {args.begin() + 1, args.end()});
  const std::string& road = config.text("federation.road");
  const auto folder = resolve(config, config.text("coordinator.folder"));
  const bool spools = road == "spool" || !config.text("coordinator.spool").empty();
  coordinator::CoordinatorSettings settings{
      .name = config.text("coordinator.name"),
      .folder = folder,
      .listen = road == "spool" ? "" : config.text("coordinator.listen"),
      .spool = spools ? spool_folder(config, "coordinator.spool", folder) : "",
      .spool_answer = std::chrono::seconds(config.integer("coordinator.spool_answer_s")),
      .buffer_bytes = static_cast<std::uint64_t>(config.integer("coordinator.buffer_mib")) << 20U,
      .deadline = std::chrono::seconds(config.integer("coordinator.deadline_s")),
      .keep_rounds = static_cast<std::uint32_t>(config.integer("coordinator.keep_rounds")),
      .roster = resolve(config, config.text("federation.roster")),
      .agreement = resolve(config, config.text("federation.agreement"))};
  log::set_role("coordinator " + settings.name);
  if (road == "mpi") return coordinate_in_one_mpirun(settings);
  return static_cast<int>(coordinator::run_coordinator(settings));
}

}  // namespace

const Command coordinate_command{"coordinate", "add masked blocks and run the rounds", help, run};

}  // namespace concordat::cli
