#include "cli/doctor_examine.hpp"

#include <omp.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "cli/doctor_checks.hpp"
#include "cli/doctor_examine_alone.hpp"
#include "concordat/comm/mpi_facts.hpp"
#include "concordat/observe/progress.hpp"

namespace concordat::cli::doctor {
namespace {

/// What all ranks need of the configuration that rank 0 has read.
struct Shared {
  int threads = 1;
  std::string device = "auto";
  std::string run_folder{};  ///< empty: none
  std::string fast{};        ///< checkpoint.fast; empty: none
  std::string fast_folder{};
  std::uint64_t generation_bytes = 0;
};

Shared share(comm::Communicator& comm, const Subject& subject) {
  ByteWriter out;
  if (comm.rank() == 0) {
    const int asked = subject.site ? subject.site->local.threads : omp_get_max_threads();
    out.u32(static_cast<std::uint32_t>(std::max(1, asked)));
    out.sized(subject.site ? subject.site->local.device : "auto");
    out.sized(subject.site ? subject.site->run_folder().string() : "");
    const bool tiers = subject.site && !subject.site->checkpoint.fast.empty();
    out.sized(tiers ? subject.site->checkpoint.fast.string() : "");
    out.sized(tiers ? subject.site->fast_folder().string() : "");
    out.u64(subject.generation_bytes);
  }
  Bytes bytes(out.bytes().begin(), out.bytes().end());
  comm.broadcast_bytes(bytes, 0);
  ByteReader in(bytes, "doctor");
  Shared shared;
  shared.threads = static_cast<int>(in.u32());
  shared.device = in.sized_string(64);
  shared.run_folder = in.sized_string(8192);
  shared.fast = in.sized_string(8192);
  shared.fast_folder = in.sized_string(8192);
  shared.generation_bytes = in.u64();
  in.finish();
  return shared;
}

std::vector<std::string> gather_text(comm::Communicator& comm, const std::string& mine) {
  std::vector<std::string> all;
  for (const Bytes& each : comm.gather_bytes(as_bytes(mine), 0)) all.push_back(to_string(each));
  return all;
}

void examine_clocks(comm::Communicator& comm, Findings& findings,
                    const comm::PlacementReport& report) {
  comm.barrier();
  std::vector<std::int64_t> seconds;
  for (const std::string& text : gather_text(comm, std::to_string(system_clock().unix_seconds()))) {
    seconds.push_back(std::atoll(text.c_str()));
  }
  if (comm.rank() == 0) append(findings, check_clocks(seconds, report));
}

bool lowest_of_its_host(int rank, const comm::PlacementReport& report) {
  for (int other = 0; other < rank; ++other) {
    if (report.ranks[static_cast<std::size_t>(other)].host ==
        report.ranks[static_cast<std::size_t>(rank)].host) {
      return false;
    }
  }
  return true;
}

/// Each node has a disk of its own: its lowest rank looks at it.
void examine_fast_tier(comm::Communicator& comm, Findings& findings, const Shared& shared,
                       const Options& options, const comm::PlacementReport& report) {
  Bytes mine;
  if (lowest_of_its_host(comm.rank(), report)) {
    // The last one and the next while it is written.
    const FolderRequest request{
        .folder = shared.fast_folder,
        .name = {},
        .needed_bytes = 2 * shared.generation_bytes,
        .least_bytes = shared.generation_bytes,
        .need = "two checkpoints of " + observe::short_bytes(shared.generation_bytes),
        .rate_bytes = options.disk_bytes};
    mine = encode(check_fast_folder(machine_files(), shared.fast, request));
  }
  const std::vector<Bytes> all = comm.gather_bytes(mine, 0);
  for (std::size_t r = 0; r < all.size(); ++r) {
    for (Finding& finding : decode_findings(all[r])) {
      finding.text.insert(0, "on " + report.ranks[r].host + ": ");
      findings.push_back(std::move(finding));
    }
  }
}

/// All ranks measure at once, as they compute at once. A rank without a back end says so.
void examine_rates(comm::Communicator& comm, Findings& findings, const Shared& shared,
                   const Options& options, const comm::PlacementReport& report) {
  Rates mine;
  std::string trouble;
  comm.barrier();
  try {
    device::Session session(shared.device);
    mine = measure_rates(session.exec(), system_clock(), options.longer);
  } catch (const Error& error) {
    trouble = failed("rates", error).text;
  } catch (const std::exception& error) {
    trouble = error.what();  // memory, say
  }
  Bytes sent(sizeof mine);
  std::memcpy(sent.data(), &mine, sizeof mine);
  const std::vector<Bytes> all = comm.gather_bytes(sent, 0);
  const std::vector<std::string> troubles = gather_text(comm, trouble);
  if (comm.rank() != 0) return;
  std::vector<Rates> rates(all.size());
  bool whole = true;
  for (std::size_t r = 0; r < all.size(); ++r) {
    std::memcpy(&rates[r], all[r].data(), sizeof mine);
    if (troubles[r].empty()) continue;
    whole = false;
    findings.push_back(fail("rates",
                            "rank " + std::to_string(r) + " cannot compute: " + troubles[r],
                            "correct train.device, or run on processors with AVX2"));
  }
  if (whole) append(findings, check_rates(rates, report));
}

void examine_program(comm::Communicator& comm, Findings& findings, const Shared& shared,
                     const Subject& subject) {
  ProgramFacts facts;
  facts.instructions = gather_text(comm, device::instructions_in_use());
  if (comm.rank() != 0) return;
  gather_program(facts);
  try {
    facts.bf16 = device::make_backend(shared.device)->multiplies(Dtype::bf16);
  } catch (const Error&) {
    facts.bf16 = false;  // the rates say why there is no back end
  }
  if (subject.site) facts.precision = subject.site->local.precision;
  append(findings, check_program(facts));
}

/// Everything that all ranks take part in.
void examine_together(comm::Communicator& comm, const Options& options, const Subject& subject,
                      Findings& findings) {
  const bool first = comm.rank() == 0;
  const Shared shared = share(comm, subject);
  omp_set_num_threads(shared.threads);
  const comm::PlacementReport report = comm::placement_report(comm, shared.threads);
  if (options.wants("program")) examine_program(comm, findings, shared, subject);
  if (first && options.wants("config")) append(findings, subject.findings);
  if (options.wants("mpi")) {
    const std::string level = comm::mpi_facts().thread_level;
    if (first && !level.empty() && !options.one_mpirun) {
      append(findings, check_launch(comm.size(), level, from_machine));
    }
    const bool job = comm.size() > 1 || comm::launcher_size(from_machine) || options.one_mpirun;
    if (first && job && subject.site) append(findings, check_fit(*subject.site, comm.size()));
    if (comm.size() > 1) {
      std::vector<std::uint64_t> sizes{1U << 10U, 1U << 20U, 64U << 20U};
      if (options.longer) sizes.push_back(512U << 20U);
      const auto times = time_all_reduce(comm, system_clock(), sizes);
      if (first) append(findings, check_all_reduce(times, report));
    }
  }
  if (first && options.wants("threads") && !subject.coordinator && !options.one_mpirun) {
    append(findings, check_threads(report, from_machine));
  }
  if (first && options.wants("fabric")) append(findings, check_fabric(options.environment));
  if (comm.size() > 1 && options.wants("files") && !shared.run_folder.empty()) {
    append(findings, check_shared_folder(comm, machine_files(), shared.run_folder, report));
  }
  if (options.wants("files") && !shared.fast.empty()) {
    examine_fast_tier(comm, findings, shared, options, report);
  }
  if (comm.size() > 1 && options.wants("clock")) examine_clocks(comm, findings, report);
  if (options.wants("rates") && !subject.coordinator) {
    examine_rates(comm, findings, shared, options, report);
  }
}

/// Rank 0's own checks may take long: after each the others hear that it lives.
constexpr std::uint8_t more = 255;

ExitCode wait_for_first(comm::Communicator& comm) {
  Bytes beat;
  do {
    comm.broadcast_bytes(beat, 0);
  } while (beat.at(0) == more);
  return static_cast<ExitCode>(beat.at(0));
}

void beat(comm::Communicator& comm, std::uint8_t value) {
  Bytes bytes{value};
  comm.broadcast_bytes(bytes, 0);
}

}  // namespace

ExitCode examine(comm::Communicator& comm, const Options& options, Findings begun,
                 const std::function<void(const Findings&)>& print) {
  const bool first = comm.rank() == 0;
  Findings findings = std::move(begun);
  // All ranks must agree on what they do together; only a coordinator's file changes it.
  Subject subject;
  if (first) {
    subject = read_subject(options);
  } else if (is_coordinator_file(options.file)) {
    subject.coordinator.emplace();
  }
  try {
    examine_together(comm, options, subject, findings);
    if (!first) return wait_for_first(comm);
    for (const auto& check : checks_alone(options, subject, comm.size())) {
      append(findings, check());
      beat(comm, more);
    }
  } catch (const Error& error) {
    if (!first) throw;
    findings.push_back(failed("mpi", error,
                              "look at that rank's node and network; mpirun --mca btl self,tcp "
                              "tells whether a fast network is to blame"));
    print(findings);
    throw;
  }
  print(findings);
  const ExitCode code = exit_code(findings);
  beat(comm, static_cast<std::uint8_t>(code));
  return code;
}

}  // namespace concordat::cli::doctor
