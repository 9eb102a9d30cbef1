#include "cli/schema.hpp"

namespace concordat::cli {

ConfigSchema coordinator_schema() {
  ConfigSchema schema;
  schema.section("coordinator", "who this is and where its things lie")
      .text("coordinator.name", std::nullopt, {}, "as in its keys and the roster")
      .text("coordinator.folder", std::nullopt, {},
            "holds keys/ ledger/ journal/; relative to this file")
      .text("coordinator.listen", "127.0.0.1:7443", {}, "HOST:PORT to accept sites on")
      .text("coordinator.spool", "", {},
            "folder of the road spool, with a folder for each site, served beside `listen`; empty: "
            "none")
      .integer("coordinator.spool_answer_s", 3600, {1, 31'536'000},
               "seconds without an acknowledgement after which a message is put there once more")
      .integer("coordinator.buffer_mib", 32, {4, 65536},
               "one budget for all bytes in flight, in MiB")
      .integer("coordinator.deadline_s", 0, {0, 31'536'000},
               "seconds from when enough sites are ready until a round begins without the others; "
               "0: it waits for all")
      .integer("coordinator.keep_rounds", 32, {1, 1'000'000},
               "most rounds whose aggregates are kept for sites that missed them");
  schema.section("federation", "the documents that everybody signed")
      .text("federation.roster", std::nullopt, {}, "signed roster (JSON)")
      .text("federation.agreement", std::nullopt, {}, "signed run agreement (JSON)")
      .text("federation.road", "tls", {"tls", "spool", "mpi"},
            "tls: listens, and serves coordinator.spool if that is given; spool: that alone, by "
            "default spool/ in coordinator.folder; mpi: all parties in one mpirun, if the roster "
            "allows it; --road for short");
  return schema;
}

}  // namespace concordat::cli
