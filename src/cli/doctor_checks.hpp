// The checks of `concordat doctor`. Each takes what it looks at and everything that it touches as
// parameters, and returns findings; none prints. An Error of a seam becomes a finding.
//
//   FileSeams seams = machine_files();
//   append(findings, check_folder(seams, {.folder = run, .name = "run folder"}));
//
// Threads: one. Only what says so is collective.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/doctor.hpp"
#include "cli/spool_text.hpp"
#include "concordat/border/reach.hpp"
#include "concordat/comm/runtime.hpp"
#include "concordat/core/clock.hpp"
#include "concordat/core/file.hpp"
#include "concordat/crypto/key_files.hpp"
#include "concordat/device/exec.hpp"
#include "concordat/federation/agreement.hpp"
#include "concordat/site/settings.hpp"

namespace concordat::cli::doctor {

using Path = FileSystem::Path;

// ---- doctor_program.cpp

struct ProgramFacts {
  std::string version;           ///< "0.1.0 (build)"
  bool kill_points = false;      ///< a test build
  std::string crypto;            ///< of the library that is loaded
  std::string hdf5, hdf5_built;  ///< loaded; of the headers
  std::string mpi;
  bool bf16 = false;                      ///< whether products multiply in it here
  std::string precision;                  ///< that the configuration asks for; empty: none
  std::vector<std::string> instructions;  ///< one a rank
};
Findings check_program(const ProgramFacts& facts);

// ---- doctor_mpi.cpp

/// Before MPI is started: a task of an srun step that has no PMIx would stop in MPI_Init or be
/// alone in a world of one. Returns a failing finding then; MPI must not be started after it.
std::optional<Finding> check_step(const std::string& mpi_library, const Environment& environment);
/// How this process was launched, given how many ranks MPI joined.
Findings check_launch(int ranks, const std::string& thread_level, const Environment& environment);

/// Whether so many ranks can train with the site's layout and batch.
Findings check_fit(const site::SiteSettings& site, int ranks);

struct AllReduceTime {
  std::uint64_t bytes = 0;
  double seconds = 0.0;  ///< of one
};
/// Collective over `comm`. Times sums of fp32 vectors of each of `sizes` bytes and holds their
/// values to what they must be. @throws Error(comm.stalled | comm.peer_failed), and
/// Error(core.malformed) on all ranks for a wrong sum.
std::vector<AllReduceTime> time_all_reduce(comm::Communicator& comm, const Clock& clock,
                                           const std::vector<std::uint64_t>& sizes);
Findings check_all_reduce(const std::vector<AllReduceTime>& times,
                          const comm::PlacementReport& report);

// ---- doctor_threads.cpp

/// Ranks, hosts, threads and processors.
Findings check_threads(const comm::PlacementReport& report, const Environment& environment);
/// Variables that steer MPI, UCX, libfabric and NCCL: which are set, and which are no variables to
/// keep in a script.
Findings check_fabric(const std::vector<std::pair<std::string, std::string>>& environment);

// ---- doctor_files.cpp

struct FileSeams {
  FileSystem& fs;
  Clock& clock;
  /// The file system's type, such as "ext4", "lustre", "nfs", "tmpfs".
  std::function<std::string(const Path&)> type;
  /// When the file was written last, in seconds since 1970, by the file system's own clock.
  std::function<std::int64_t(const Path&)> modified;
  /// Whether another process finds the lock at the path held.
  std::function<bool(const Path&)> held_for_others;
};
/// The machine's.
FileSeams machine_files();

struct FolderRequest {
  Path folder;
  std::string name;                 ///< "run folder"
  std::string key = "site.folder";  ///< of the configuration, that says where it lies
  std::uint64_t needed_bytes = 0;   ///< what a run wants to keep there
  std::uint64_t least_bytes = 0;    ///< less than that, and nothing can be saved
  std::string need{};               ///< "three generations of 1.5 GiB"
  bool only_owner = false;          ///< nobody else may even read it
  bool hdf5 = false;                ///< checkpoints are kept there
  std::string hdf5_locking{};       ///< HDF5_USE_FILE_LOCKING; empty: not set
  std::uint64_t rate_bytes = 0;     ///< of the file that rates are measured with; 0: none
};
/// Mode, owner, type, space; then in a folder of its own below it: exclusive creation, rename over
/// a file, link, fsync of files and folders, role locks, HDF5, read-back, rates. If the folder is
/// not there yet: the nearest one above it.
Findings check_folder(const FileSeams& seams, const FolderRequest& request);
/// The same for the fast tier's folder of a run below `fast`, which has to be there.
Findings check_fast_folder(const FileSeams& seams, const Path& fast, FolderRequest request);
/// The nearest folder that is there.
Path nearest_folder(FileSystem& fs, const Path& path);
/// Collective over `comm`. Whether all ranks see what rank 0 writes in `folder` and locks there.
/// Findings on rank 0 alone.
Findings check_shared_folder(comm::Communicator& comm, const FileSeams& seams, const Path& folder,
                             const comm::PlacementReport& report);

// ---- doctor_clock.cpp

/// The clock against itself and against the file system below `folder` (if any).
Findings check_clock(const FileSeams& seams, const Path& folder);
/// The same moment on each rank's clock, in seconds since 1970.
Findings check_clocks(const std::vector<std::int64_t>& seconds,
                      const comm::PlacementReport& report);

// ---- doctor_keys.cpp

struct KeyCheck {
  Findings findings{};
  std::optional<crypto::SiteKeys> keys{};
};
KeyCheck check_keys(FileSystem& fs, const Path& folder, const std::string& name);

struct DocumentRequest {
  Path roster, agreement;
  std::string name;          ///< of this party
  std::string run;           ///< of the configuration; empty: any
  bool coordinator = false;  ///< which of the two this party is
};
struct DocumentCheck {
  Findings findings{};
  std::optional<federation::SignedRoster> roster{};
  std::optional<federation::SignedAgreement> agreement{};
};
/// Signatures of both documents, and this party's keys against its entry.
DocumentCheck check_documents(FileSystem& fs, const DocumentRequest& request,
                              const crypto::SiteKeys* keys);

struct DataRequest {
  Path folder;  ///< data/ of the site
  std::vector<std::string> names;
  std::string tokenizer;
  std::int64_t vocabulary = 0;  ///< of the model
  std::uint64_t length = 1;     ///< of a training window
  bool every_byte = false;      ///< hashes all shards
};
Findings check_data(FileSystem& fs, const DataRequest& request, ByteView data_key);

// ---- doctor_reach.cpp

struct ReachRequest {
  std::string address;       ///< HOST:PORT
  std::string origin;        ///< where it stands, for messages
  std::string border{};      ///< the line of a border that runs; empty: none
  std::string trouble{};     ///< why the coordinator does not answer that border; empty: it does
  bool only_border = false;  ///< this is a training job, which needs no road
};
struct ReachSeams {
  std::function<border::Reach(const border::Address&)> reach;
  /// TLS and one question that changes nothing; throws what fails.
  std::function<void(const border::Address&)> ask;
};
Findings check_reach(const ReachRequest& request, const ReachSeams& seams);
/// The coordinator's side: whether others can find it at the roster's address, and whether it can
/// listen. `bind` tries to and throws what fails.
Findings check_listen(const std::string& listen, const std::string& announced,
                      const std::string& running, const ReachSeams& seams,
                      const std::function<void(const border::Address&)>& bind);

// ---- doctor_spool.cpp

struct SpoolRequest {
  Path folder{};                         ///< with up/ and down/
  SpoolEnd end = SpoolEnd::site;         ///< who asks
  std::string site{};                    ///< at the coordinator: whose it is
  std::string key = "federation.spool";  ///< of the configuration, that says where it lies
  std::uint64_t needed_bytes = 0;        ///< of a round, both ways; 0: not known
  bool runs = false;                     ///< who takes what arrives here
  bool only_border = false;              ///< this is a training job, which needs no road
};
/// Whether both folders can be written and renamed in durably, the space, and what has waited too
/// long to be carried or taken. `now`: seconds since 1970.
Findings check_spool(FileSystem& fs, const SpoolRequest& request, std::int64_t now);

// ---- doctor_rates.cpp

struct Rates {
  double fp32_flops = 0.0;    ///< FLOP/s
  double bf16_flops = 0.0;    ///< 0 where products do not multiply in it
  double stream_bytes = 0.0;  ///< bytes read and written a second by c = a + b
};
Rates measure_rates(device::Exec& exec, const Clock& clock, bool longer);
/// One entry a rank, in order.
Findings check_rates(const std::vector<Rates>& rates, const comm::PlacementReport& report);

}  // namespace concordat::cli::doctor
