#include <cstdlib>

#include "concordat/comm/runtime.hpp"

namespace concordat::comm {

std::optional<LauncherSize> launcher_size(
    const std::function<const char*(const char*)>& environment) {
  auto read = [&](const char* name) -> std::optional<LauncherSize> {
    const char* text = environment(name);
    if (text == nullptr) return std::nullopt;
    const int size = std::atoi(text);
    if (size < 1) return std::nullopt;
    return LauncherSize{size, name};
  };
  if (auto size = read("OMPI_COMM_WORLD_SIZE")) return size;
  // SLURM_NTASKS stands in the batch shell too, where one process is right; only tasks of an srun
  // step have a step id.
  if (environment("SLURM_STEP_ID") == nullptr) return std::nullopt;
  if (auto size = read("SLURM_STEP_NUM_TASKS")) return size;
  return read("SLURM_NTASKS");
}

void check_launcher(int mpi_size, const std::function<const char*(const char*)>& environment) {
  const auto launcher = launcher_size(environment);
  if (!launcher || launcher->size == mpi_size) return;
  const bool slurm = launcher->variable.starts_with("SLURM");
  throw Error(
      errors::launcher_mismatch,
      {.what = "the launcher started another number of ranks than MPI joined",
       .where = launcher->variable,
       .found = "MPI size " + std::to_string(mpi_size),
       .expected = std::to_string(launcher->size),
       .remedy = slurm ? "start with srun --mpi=pmix (see srun --mpi=list)"
                       : "start with the mpirun of the MPI library Concordat is built with"});
}

}  // namespace concordat::comm
