// Where the ranks run, and whether they get in each other's way.
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <set>

#include "concordat/comm/pinning.hpp"
#include "concordat/comm/runtime.hpp"

namespace concordat::comm {

namespace {

std::vector<int> own_processors() {
  // The kernel refuses a mask shorter than its own; machines with more than 1024 need a longer one.
  for (int limit = 1024; limit <= 1 << 18; limit *= 2) {
    cpu_set_t* set = CPU_ALLOC(static_cast<std::size_t>(limit));
    const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(limit));
    std::vector<int> processors;
    const bool got = ::sched_getaffinity(0, bytes, set) == 0;
    for (int cpu = 0; got && cpu < limit; ++cpu) {
      if (CPU_ISSET_S(static_cast<std::size_t>(cpu), bytes, set)) processors.push_back(cpu);
    }
    CPU_FREE(set);
    if (got) return processors;
  }
  return {};
}

/// A number for the core of a processor, unique in the host; without topology its own.
int core_of(int processor) {
  const std::string folder =
      "/sys/devices/system/cpu/cpu" + std::to_string(processor) + "/topology/";
  int package = 0;
  int core = 0;
  if (!(std::ifstream(folder + "physical_package_id") >> package)) return processor;
  if (!(std::ifstream(folder + "core_id") >> core)) return processor;
  return (std::max(package, 0) << 16) + core;
}

std::string host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0) return "unknown";
  return name;
}

}  // namespace

std::string processor_ranges(const std::vector<int>& processors) {
  std::string text;
  for (std::size_t i = 0; i < processors.size();) {
    std::size_t last = i;
    while (last + 1 < processors.size() && processors[last + 1] == processors[last] + 1) ++last;
    if (!text.empty()) text += ',';
    text += std::to_string(processors[i]);
    if (last > i) text += '-' + std::to_string(processors[last]);
    i = last + 1;
  }
  return text.empty() ? "none" : text;
}

namespace {

/// A job cannot see other jobs: it can only say what would happen if there were some.
std::optional<std::string> bound_alone(const std::vector<Placement>& ranks) {
  if (ranks.size() != 1) return std::nullopt;
  const Placement& rank = ranks.front();
  if (rank.processors.empty() || static_cast<int>(rank.processors.size()) >= rank.online) {
    return std::nullopt;
  }
  return "the only rank is bound to processors " + processor_ranges(rank.processors) + " of " +
         rank.host + ", which has " + std::to_string(rank.online) +
         ": other jobs of one rank there are bound to the same; start with mpirun --bind-to none, "
         "unless the batch system gave this job these processors";
}

}  // namespace

std::vector<std::string> placement_warnings(const std::vector<Placement>& ranks, bool shared_job) {
  // For each set of processors that some rank is confined to: the ranks confined to it or to a
  // part of it must not have more threads than it has processors.
  std::vector<std::string> warnings;
  if (auto warning = bound_alone(ranks); warning && !shared_job)
    warnings.push_back(std::move(*warning));
  std::set<std::pair<std::string, std::vector<int>>> seen;
  for (const auto& rank : ranks) {
    if (rank.processors.empty() || !seen.insert({rank.host, rank.processors}).second) continue;
    int threads = 0;
    int confined = 0;
    std::string names;
    for (const auto& other : ranks) {
      if (other.host != rank.host ||
          !std::includes(rank.processors.begin(), rank.processors.end(), other.processors.begin(),
                         other.processors.end())) {
        continue;
      }
      threads += other.threads;
      ++confined;
      names += (names.empty() ? "" : ", ") + std::to_string(other.rank);
    }
    if (threads <= static_cast<int>(rank.processors.size())) continue;
    warnings.push_back((confined > 1 ? "ranks " + names + " share" : "rank " + names + " has") +
                       " processors " + processor_ranges(rank.processors) + " of " + rank.host +
                       " with " + std::to_string(threads) +
                       " threads: start with fewer ranks or threads, or without binding "
                       "(mpirun --bind-to none, OMP_NUM_THREADS)");
  }
  return warnings;
}

int local_rank(Communicator& comm) {
  const std::string here = host_name();
  const auto hosts = comm.all_gather_bytes(as_bytes(here));
  int place = 0;
  for (int r = 0; r < comm.rank(); ++r) {
    place += std::ranges::equal(hosts[static_cast<std::size_t>(r)], as_bytes(here)) ? 1 : 0;
  }
  return place;
}

PlacementReport placement_report(Communicator& comm, int threads_per_rank, bool shared_job) {
  ByteWriter mine;
  mine.sized(host_name());
  mine.u32(static_cast<std::uint32_t>(::getpid()));
  mine.u32(static_cast<std::uint32_t>(threads_per_rank));
  mine.u32(static_cast<std::uint32_t>(std::max(0L, ::sysconf(_SC_NPROCESSORS_ONLN))));
  const auto processors = own_processors();
  mine.u32(static_cast<std::uint32_t>(processors.size()));
  for (int cpu : processors) {
    mine.u32(static_cast<std::uint32_t>(cpu));
    mine.u32(static_cast<std::uint32_t>(core_of(cpu)));
  }
  const auto environment = [](const char* name) -> const char* { return std::getenv(name); };
  const int online = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  mine.sized(granted_processors(static_cast<int>(processors.size()), online, environment));
  mine.u8(openmp_binds(environment) ? 1 : 0);
  PlacementReport report;
  const auto all = comm.all_gather_bytes(mine.bytes());
  for (int r = 0; r < comm.size(); ++r) {
    ByteReader in(all[static_cast<std::size_t>(r)], "placement");
    Placement place;
    place.rank = r;
    place.host = in.sized_string(1024);
    place.pid = static_cast<int>(in.u32());
    place.threads = static_cast<int>(in.u32());
    place.online = static_cast<int>(in.u32());
    place.processors.resize(in.count(1U << 18U));
    place.cores.resize(place.processors.size());
    for (std::size_t i = 0; i < place.processors.size(); ++i) {
      place.processors[i] = static_cast<int>(in.u32());
      place.cores[i] = static_cast<int>(in.u32());
    }
    place.granted = in.sized_string(1024);
    place.openmp_binds = in.u8() != 0;
    report.lines.push_back("rank " + std::to_string(r) + " on " + place.host + ": " +
                           std::to_string(place.threads) +
                           (place.threads == 1 ? " thread" : " threads") + " on processors " +
                           processor_ranges(place.processors));
    report.ranks.push_back(std::move(place));
  }
  report.warnings = placement_warnings(report.ranks, shared_job);
  return report;
}

}  // namespace concordat::comm
