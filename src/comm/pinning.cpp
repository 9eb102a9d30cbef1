#include "concordat/comm/pinning.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <numeric>
#include <set>

#include "concordat/comm/errors.hpp"

namespace concordat::comm {

namespace {

using Ranks = std::vector<const Placement*>;

std::string names_of(const Ranks& ranks) {
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (const Placement* rank : ranks) {
    text += (rank == ranks.front() ? "" : ", ") + std::to_string(rank->rank);
  }
  return text;
}

/// The processors of a set, core by core: those of one core are one entry.
std::vector<std::vector<int>> cores_of(const Placement& rank) {
  std::map<int, std::vector<int>> cores;
  for (std::size_t i = 0; i < rank.processors.size(); ++i) {
    const bool known = rank.cores.size() == rank.processors.size();
    cores[known ? rank.cores[i] : rank.processors[i]].push_back(rank.processors[i]);
  }
  std::vector<std::vector<int>> list;
  for (auto& [core, processors] : cores) list.push_back(std::move(processors));
  return list;
}

/// The units of a set dealt out in runs, to each rank at least as many as it has threads.
/// @pre at least as many units as threads: floor(a + b) - floor(a) >= floor(b).
std::vector<std::vector<std::vector<int>>> dealt_out(const std::vector<std::vector<int>>& units,
                                                     const Ranks& ranks, std::size_t threads) {
  std::vector<std::vector<std::vector<int>>> parts;
  std::size_t before = 0;
  for (const Placement* rank : ranks) {
    const auto own = static_cast<std::size_t>(rank->threads);
    const auto begin = static_cast<std::ptrdiff_t>(units.size() * before / threads);
    const auto end = static_cast<std::ptrdiff_t>(units.size() * (before + own) / threads);
    parts.emplace_back(units.begin() + begin, units.begin() + end);
    before += own;
  }
  return parts;
}

/// One processor of every core first, then the second of every core, ...
std::vector<int> core_by_core(const std::vector<std::vector<int>>& cores) {
  std::vector<int> order;
  for (std::size_t i = 0;; ++i) {
    const std::size_t had = order.size();
    for (const auto& core : cores) {
      if (i < core.size()) order.push_back(core[i]);
    }
    if (order.size() == had) return order;
  }
}

/// Fills `own` for ranks of one set, or says why it cannot.
std::string share_out(const Ranks& ranks, std::vector<std::vector<int>>& own) {
  const std::vector<int>& set = ranks.front()->processors;
  const auto threads = std::accumulate(
      ranks.begin(), ranks.end(), std::size_t{0},
      [](std::size_t n, auto* r) { return n + static_cast<std::size_t>(r->threads); });
  if (threads > set.size()) {
    return names_of(ranks) + (ranks.size() == 1 ? " has " : " have ") + std::to_string(threads) +
           " threads for " + std::to_string(set.size()) +
           (set.size() == 1 ? " processor (" : " processors (") + processor_ranges(set) + ")";
  }
  std::vector<std::vector<int>> units = cores_of(*ranks.front());
  if (units.size() < threads) {
    // Not a core for everybody: neighbours on a core are handed out apart.
    std::vector<std::vector<int>> singles;
    for (const auto& core : units) {
      for (const int processor : core) singles.push_back({processor});
    }
    units = std::move(singles);
  }
  const auto parts = dealt_out(units, ranks, threads);
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    own[static_cast<std::size_t>(ranks[i]->rank)] = core_by_core(parts[i]);
  }
  return "";
}

/// Fills `own` for the ranks of one host, or says why it cannot.
std::string share_host(const Ranks& ranks, std::vector<std::vector<int>>& own) {
  std::map<std::vector<int>, Ranks> sets;
  std::map<int, const Placement*> user;
  for (const Placement* rank : ranks) {
    if (rank->openmp_binds) {
      return "OMP_PROC_BIND, OMP_PLACES or GOMP_CPU_AFFINITY is set for rank " +
             std::to_string(rank->rank) + ", so OpenMP binds its threads itself";
    }
    if (rank->processors.empty()) {
      return "the processors of rank " + std::to_string(rank->rank) + " are not known";
    }
    sets[rank->processors].push_back(rank);
  }
  for (const auto& [set, members] : sets) {
    for (const int processor : set) {
      const auto [other, first] = user.insert({processor, members.front()});
      if (first) continue;
      return "the processors of rank " + std::to_string(other->second->rank) + " (" +
             processor_ranges(other->second->processors) + ") and of rank " +
             std::to_string(members.front()->rank) + " (" + processor_ranges(set) +
             ") overlap without being the same";
    }
  }
  for (const auto& [set, members] : sets) {
    if (std::string obstacle = share_out(members, own); !obstacle.empty()) return obstacle;
  }
  return "";
}

std::string pinned_line(const Ranks& ranks, const std::vector<std::vector<int>>& own,
                        const std::string& by) {
  std::string text = "threads on " + ranks.front()->host + " are pinned (" + by + "):";
  for (const Placement* rank : ranks) {
    auto mine = own[static_cast<std::size_t>(rank->rank)];
    mine.resize(static_cast<std::size_t>(rank->threads));
    std::sort(mine.begin(), mine.end());
    text += (rank == ranks.front() ? " rank " : ", rank ") + std::to_string(rank->rank) + " to " +
            processor_ranges(mine);
  }
  return text;
}

Error cannot_pin(const std::string& host, const std::string& obstacle) {
  return Error(errors::cannot_pin,
               {.what = "threads cannot be pinned",
                .where = "train.pin on host " + host,
                .found = obstacle,
                .expected = "a processor for each thread, in sets that are the same or apart",
                .remedy = "start with fewer ranks or threads or with another binding, or set "
                          "train.pin = auto or off"});
}

}  // namespace

PinPlan plan_pins(const std::vector<Placement>& ranks, PinMode mode) {
  PinPlan plan;
  plan.own.resize(ranks.size());
  if (mode == PinMode::off) return plan;
  std::map<std::string, Ranks> hosts;
  for (const Placement& rank : ranks) hosts[rank.host].push_back(&rank);
  for (const auto& [host, members] : hosts) {
    std::vector<std::vector<int>> own(ranks.size());
    std::string obstacle = share_host(members, own);
    if (mode == PinMode::on && !obstacle.empty()) throw cannot_pin(host, obstacle);
    const bool granted = std::all_of(members.begin(), members.end(),
                                     [](const Placement* rank) { return !rank->granted.empty(); });
    if (obstacle.empty() && mode == PinMode::automatic && !granted) {
      obstacle =
          "no batch system says that its processors are this job's alone; train.pin = on pins";
    }
    if (!obstacle.empty()) {
      plan.lines.push_back("threads on " + host + " are not pinned: " + obstacle);
      continue;
    }
    for (const Placement* rank : members) {
      const auto i = static_cast<std::size_t>(rank->rank);
      plan.own[i] = own[i];
    }
    plan.lines.push_back(pinned_line(
        members, own, mode == PinMode::on ? "train.pin = on" : members.front()->granted));
  }
  return plan;
}

std::string granted_processors(int processors, int online,
                               const std::function<const char*(const char*)>& environment) {
  const auto text = [&](const char* name) -> std::string {
    const char* value = environment(name);
    return value == nullptr ? "" : value;
  };
  const bool confined = processors > 0 && processors < online;
  if (const std::string job = text("SLURM_JOB_ID"); !job.empty()) {
    const int on_node = std::atoi(text("SLURM_CPUS_ON_NODE").c_str());
    if (online > 0 && on_node >= online) return "Slurm gave job " + job + " the whole node";
    if (confined && processors <= on_node)
      return "Slurm confines job " + job + " to its processors";
    return "";
  }
  if (const std::string job = text("PBS_JOBID"); confined && !job.empty()) {
    return "PBS confines job " + job + " to its processors";
  }
  if (const std::string job = text("LSB_JOBID"); confined && !job.empty()) {
    return "LSF confines job " + job + " to its processors";
  }
  return "";
}

bool openmp_binds(const std::function<const char*(const char*)>& environment) {
  for (const char* name : {"OMP_PLACES", "GOMP_CPU_AFFINITY"}) {
    const char* value = environment(name);
    if (value != nullptr && *value != '\0') return true;
  }
  const char* bind = environment("OMP_PROC_BIND");
  if (bind == nullptr) return false;
  std::string text = bind;
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return !text.empty() && text != "false";
}

}  // namespace concordat::comm
