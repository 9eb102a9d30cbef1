// What `concordat slurm init` was asked for, checked against the configurations that the job will
// run, and the batch script made from it.
//
//   SlurmPlan plan = slurm_plan(args);            // refuses what could not run
//   std::cout << slurm_script(plan);
//
// Files are read, nothing is written. Failure: Error(usage) naming the flag; the errors of reading
// a configuration.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/command.hpp"

namespace concordat::cli {

enum class SlurmRole { site, border, coordinator, mover, one_centre, sweep };
enum class SlurmLauncher { srun, mpirun };
/// Where a site's border runs: in the training job's script, in a job of its own, or somewhere that
/// no batch script starts.
enum class SlurmBorder { here, job, none };

/// A configuration file and the ranks that train it.
struct SlurmParty {
  std::string file;  ///< as it was given: relative to where sbatch is called, or absolute
  std::string name;
  int ranks_per_node = 1;
};

struct SlurmPlan {
  SlurmRole role = SlurmRole::site;
  SlurmLauncher launcher = SlurmLauncher::srun;
  SlurmBorder border = SlurmBorder::job;
  bool chain = false;
  std::vector<SlurmParty> sites;  ///< one unless the role is one_centre
  std::string coordinator{};      ///< its file, for coordinator and one_centre
  std::string to;                 ///< mover: the coordinator's end, FOLDER or HOST:FOLDER
  int every_s = 60;               ///< mover: from one pass to the next
  int nodes = 1;                  ///< of a site
  int gpus = 0;                   ///< of a node; 0: none
  int cpus_per_task = 1;
  std::string time;
  std::int64_t time_s = 0;
  std::int64_t margin_s = 600;  ///< how long before the limit the job is told
  std::string account{}, partition{};
  int tasks_of_array = 0;  ///< sweep
  std::string made_by;     ///< the command line, for the head of the script
};

/// @throws Error(usage) for flags that do not fit each other or the configuration.
SlurmPlan slurm_plan(const Args& args);

/// The whole text of the batch script.
std::string slurm_script(const SlurmPlan& plan);

}  // namespace concordat::cli
