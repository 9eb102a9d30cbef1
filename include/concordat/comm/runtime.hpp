// Runtime: owns MPI for the life of the process.
//
//   int main(int argc, char** argv) {
//     auto runtime = comm::Runtime::start(argc, argv);
//     return runtime.run([](comm::Communicator& comm) {   // reports, then MPI_Abort, on errors
//       auto report = comm::placement_report(comm, omp_get_max_threads());
//       return train(comm);
//     }, [](const std::exception& error) { log::error(error.what()); });
//   }
//
// Several sites in one job (the mpi road) say who they are instead:
//
//     return runtime.run_as({comm::Role::train, "alba"}, [](comm::Split& split) {
//       return train(*split.ranks);        // alba's ranks only
//     }, report);
//
// There is no access to all processes of the job: a rank reaches its own site's, a border and the
// coordinator have an Interlink to each other.
//
// Works under mpirun, srun --mpi=pmix and alone (one rank, no launcher). No MPI function that we
// call blocks: a wait is test + fault channel + watchdog + back-off (spin, yield, sleep <= 1 ms).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "concordat/comm/communicator.hpp"
#include "concordat/comm/threads.hpp"

namespace concordat::comm {

class Interlink;

/// What a process of the job is, and for whom: the site's name, or the coordinator's.
enum class Role : std::uint8_t { train = 0, border = 1, coordinator = 2 };
/// "train", "border", "coordinator".
std::string_view name_of(Role role);

struct Seat {
  Role role = Role::train;
  std::string party{};
  bool operator==(const Seat&) const = default;
};

/// What Runtime::split gives a process.
struct Split {
  Split();
  Split(Split&&) noexcept;
  ~Split();
  std::vector<Seat> seats{};             ///< of all processes, by rank in the job
  int self = 0;                          ///< this process's place among them
  std::unique_ptr<Communicator> ranks;   ///< of a training rank's site; else null
  std::unique_ptr<Interlink> interlink;  ///< of a border and the coordinator; else null
};

class Runtime {
 public:
  /// Initialises MPI (thread level at least SERIALIZED), or joins one that the program (a test)
  /// initialised and that it will finalise. At most one Runtime that initialises per process.
  /// @throws Error(comm.launcher_mismatch | comm.mpi_unsuitable | comm.mpi_failed).
  static Runtime start(int& argc, char**& argv, const CommOptions& options = {});
  Runtime(Runtime&&) noexcept;
  Runtime& operator=(Runtime&&) = delete;
  /// Collective: finalises MPI if start() initialised it and nothing failed. After a failure it
  /// leaves MPI alone; use abort().
  ~Runtime();

  /// Collective over all processes of the job, which name their own seats: gives a training rank
  /// the Communicator of its site's training ranks (those with an equal seat), and borders and the
  /// coordinator an Interlink (each border to the coordinators, each coordinator to the borders).
  /// Both end before the Runtime; an Interlink is left first (Interlink::leave).
  /// @pre the party's name has at most 4096 bytes. @throws Error(comm.peer_failed | comm.stalled).
  Split split(const Seat& own);

  /// Splits, runs `main` and returns its value. If it throws: posts the failure for the other
  /// processes, calls `report`, and leaves through abort() with the error's exit code (70 for no
  /// Error).
  int run_as(const Seat& own, const std::function<int(Split&)>& main,
             const std::function<void(const std::exception&)>& report);
  /// The same for programs that are all of one kind: all ranks that call this are one group.
  int run(const std::function<int(Communicator&)>& rank_main,
          const std::function<void(const std::exception&)>& report);

  /// Ends all ranks at once, without MPI_Finalize. In a process without other ranks: exits.
  [[noreturn]] void abort(ExitCode code);

 private:
  struct Impl;
  explicit Runtime(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Name and version of the MPI library; does not need a Runtime.
std::string mpi_library();

/// The number of processes that a launcher says it started, if one did: OMPI_COMM_WORLD_SIZE
/// under mpirun, SLURM_STEP_NUM_TASKS (or SLURM_NTASKS) in an srun step. `environment` is
/// ::getenv in production.
struct LauncherSize {
  int size = 0;
  std::string variable;
};
std::optional<LauncherSize> launcher_size(
    const std::function<const char*(const char*)>& environment);

/// @throws Error(comm.launcher_mismatch) naming the variable, both sizes and the remedy.
void check_launcher(int mpi_size, const std::function<const char*(const char*)>& environment);

/// Where a rank runs.
struct Placement {
  int rank = 0;
  std::string host;
  int pid = 0;
  std::vector<int> processors;  ///< sched_getaffinity, ascending
  int threads = 1;              ///< compute threads of the rank
  int online = 0;               ///< processors of the host that are online; 0: not known
  std::vector<int> cores{};     ///< of each processor: its core, a number unique in the host
  std::string granted{};        ///< who gave the job its processors alone: pinning.hpp
  bool openmp_binds = false;    ///< OpenMP was told to bind the threads itself
};

struct PlacementReport {
  std::vector<Placement> ranks;
  std::vector<std::string> lines;     ///< one a rank: "rank 0 on node7: 2 threads on 0-15"
  std::vector<std::string> warnings;  ///< see placement_warnings
};

/// Collective over `comm`: every rank gets all placements.
/// `shared_job`: other parties' processes are in the same job, each with a binding of its own.
PlacementReport placement_report(Communicator& comm, int threads_per_rank, bool shared_job = false);
/// Collective: the place of this rank among those of its host, in rank order.
int local_rank(Communicator& comm);
/// The warnings for given placements: a set of ranks of one host that are confined to fewer
/// processors than they have threads; and a job of one rank that is bound to some of its host's
/// processors, because every other `mpirun -n 1` there is bound to the same ones.
std::vector<std::string> placement_warnings(const std::vector<Placement>& ranks,
                                            bool shared_job = false);
/// "0-3,8" for {0,1,2,3,8}.
std::string processor_ranges(const std::vector<int>& processors);

}  // namespace concordat::comm
