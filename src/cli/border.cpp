// `concordat border`: the one process of a site that talks outward.
#include "cli/command.hpp"
#include "cli/one_mpirun.hpp"
#include "cli/site_command.hpp"
#include "concordat/core/log.hpp"
#include "concordat/core/stop.hpp"
#include "concordat/crypto/process.hpp"
#include "concordat/site/border_loop.hpp"

namespace concordat::cli {
namespace {

std::string help() {
  return "concordat border: takes a site's masked updates across its border, and nothing else.\n\n"
         "usage:\n"
         "  concordat border SITE.toml [--key=value ...]\n\n"
         "Runs beside the training job, in the same batch script, in a one-core job or on a\n"
         "service node, and may outlive it: it needs the site's folder and a road to the\n"
         "coordinator, which it dials itself. It alone holds the signing key and writes the\n"
         "site's ledger; every crossing has its decision there first. Entries of ingest and of\n"
         "the training job, which hand them over in the site's folder, it writes for them.\n\n"
         "It ends by itself, with 0, when the run is over; USR1, TERM or a file STOP in the site\n"
         "folder end it with 75 at a safe point. Killed, it goes on with the same command. A\n"
         "refused crossing is recorded and ends it with 77.\n\n"
         "With --road=mpi it is one process of the mpirun that holds all parties, if the roster\n"
         "allows that, and ends with it (docs/formats/mpi-road.md).\n\n"
         "keys:\n" +
         site_schema().help();
}

int run(const Args& given) {
  // A request to stop that comes while the site's documents are read and MPI starts is kept.
  StopRequests::catch_signals();
  const Args args = expand_road_flag(given);
  if (!crypto::disable_core_dumps()) log::warn("core dumps could not be switched off");
  SiteInput input = read_site("border", args);
  if (!input.terms) {
    throw Error(errors::config_missing_key,
                {.what = "a border needs a federation",
                 .where = args[0],
                 .found = "no [federation] section",
                 .expected = "federation.roster and federation.agreement",
                 .remedy = "a site that trains alone needs no border"});
  }
  log::set_role("border " + input.settings.name);
  if (input.settings.federation->road == "mpi") return border_in_one_mpirun(input);
  return static_cast<int>(site::run_border(input.settings));
}

}  // namespace

const Command border_command{"border", "carry a site's masked updates across its border", help,
                             run};

}  // namespace concordat::cli
