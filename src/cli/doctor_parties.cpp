#include "cli/doctor_parties.hpp"

#include <algorithm>
#include <set>

#include "cli/doctor_checks.hpp"
#include "cli/one_mpirun.hpp"
#include "concordat/comm/mpi_facts.hpp"

namespace concordat::cli::doctor {
namespace {

using comm::Role;
using comm::Seat;

constexpr std::size_t longest = 1U << 20U;

/// File and flags of this process, as one text.
Bytes started_with(const Options& options) {
  ByteWriter out;
  out.sized(options.file);
  for (const std::string& flag : options.flags) out.sized(flag);
  return std::move(out).bytes();
}

std::string party_of(const Subject& subject, const Options& options) {
  if (subject.site) return subject.site->name;
  return subject.coordinator ? subject.coordinator->name : options.file;
}

std::string label_of(const Seat& seat) {
  if (seat.role == Role::coordinator) return "coordinator " + seat.party + ": ";
  return (seat.role == Role::border ? "border of " : "ranks of ") + seat.party + ": ";
}

/// Each part is asked about what is its own.
void keep_topics(Options& options, const Seat& seat) {
  std::set<std::string> own{"config", "keys", "reach"};
  if (seat.role == Role::coordinator) own.insert("files");
  if (seat.role == Role::train) {
    own = {"program", "mpi", "fabric", "files", "clock", "data", "rates"};
  }
  std::erase_if(options.topics, [&](const std::string& topic) { return !own.contains(topic); });
  options.one_mpirun = true;
}

/// What the first process of each part found and the seats of all, on rank 0 of `all`.
struct Gathered {
  Findings findings;
  std::vector<Seat> seats;
};

Gathered gather(comm::Communicator& all, const Seat& own, const Findings& mine) {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(own.role));
  out.sized(own.party);
  out.sized(encode(mine));
  Gathered gathered;
  for (const Bytes& bytes : all.gather_bytes(out.bytes(), 0)) {
    ByteReader in(bytes, "doctor");
    Seat seat{static_cast<Role>(in.u8()), in.sized_string(longest)};
    for (Finding& finding : decode_findings(in.sized(64 * longest))) {
      finding.text.insert(0, label_of(seat));
      gathered.findings.push_back(std::move(finding));
    }
    in.finish();
    gathered.seats.push_back(std::move(seat));
  }
  return gathered;
}

std::optional<federation::SignedRoster> roster_of(const Subject& subject) {
  Path path;
  if (subject.site && subject.site->federation) path = subject.site->federation->roster;
  if (subject.coordinator) path = subject.coordinator->roster;
  try {
    if (!path.empty()) return federation::load_roster(posix_files(), path);
  } catch (const Error&) {
    // The findings on keys say what is wrong with it.
  }
  return std::nullopt;
}

/// Launch, threads and attendance: what no part can see alone. Findings on rank 0.
Findings examine_job(comm::Communicator& all, const Options& options, const Seat& seat,
                     const Subject& subject) {
  const int threads = seat.role == Role::train && subject.site ? subject.site->local.threads : 1;
  const comm::PlacementReport report = comm::placement_report(all, threads, true);
  Findings findings;
  if (all.rank() != 0) return findings;
  const std::string level = comm::mpi_facts().thread_level;
  if (options.wants("mpi") && !level.empty()) {
    append(findings, check_launch(all.size(), level, from_machine));
  }
  if (options.wants("mpi") && !subject.takes_mpi_road()) {
    findings.push_back(fail("mpi", "several parties in one mpirun, and federation.road is not mpi",
                            "give --road=mpi to every party, or start each in a job of its own"));
  }
  if (options.wants("threads")) append(findings, check_threads(report, from_machine));
  return findings;
}

}  // namespace

Findings check_mpi_road(const federation::SignedRoster* roster) {
  if (roster == nullptr) {
    return {warn("reach", "not checked: the roster does not verify", "see the findings on keys")};
  }
  if (!roster->roster.allows_mpi_road()) {
    return {fail("reach",
                 "federation.road = mpi, and the roster does not allow that road, which isolates "
                 "no party",
                 "make it with 'concordat roster create --allow-mpi-road', and sign it and a new "
                 "agreement, or set federation.road = tls")};
  }
  return {ok("reach",
             "the road is the mpirun that all parties are in, and the roster allows it: no "
             "address is dialled")};
}

Findings check_parties(const std::vector<Seat>& seats, const federation::Roster& roster) {
  const Attendance found = attendance(seats, roster);
  if (found.missing.empty() && found.too_many.empty()) {
    return {ok("mpi", "all parties are in this mpirun: " + found.present)};
  }
  std::string text = "this mpirun does not have the parties of the federation: " + found.present;
  if (!found.missing.empty()) text += "; missing: " + found.missing;
  if (!found.too_many.empty()) text += "; not wanted: " + found.too_many;
  return {fail("mpi", std::move(text),
               "one coordinator, and a border and at least one rank of each site, separated by "
               "':' (docs/formats/mpi-road.md)")};
}

bool of_several_parties(comm::Communicator& all, const Options& options) {
  const std::vector<Bytes> every = all.all_gather_bytes(started_with(options));
  return std::ranges::any_of(every, [&](const Bytes& one) { return one != every.front(); });
}

ExitCode examine_parties(comm::Communicator& all, const Options& options,
                         const std::function<void(const Findings&)>& print) {
  // By the file alone: a border need not have all flags of its ranks.
  const std::vector<Bytes> every = all.all_gather_bytes(as_bytes(options.file));
  const auto same = std::ranges::find(every, every[static_cast<std::size_t>(all.rank())]);
  const auto party = all.split(static_cast<int>(same - every.begin()), all.rank());
  const Subject subject = read_subject(options);
  Seat seat{Role::coordinator, party_of(subject, options)};
  if (!is_coordinator_file(options.file)) {
    seat.role = party->rank() == 0 ? Role::border : Role::train;
  }
  const auto part = party->split(static_cast<int>(seat.role), party->rank());
  Findings job = examine_job(all, options, seat, subject);

  Options mine = options;
  keep_topics(mine, seat);
  Findings found;
  try {
    examine(*part, mine, {}, [&](const Findings& findings) { found = findings; });
    if (subject.site && party->size() > 1 && options.wants("files")) {
      // Border and ranks meet in the run folder.
      append(found, check_shared_folder(*party, machine_files(), subject.site->run_folder(),
                                        comm::placement_report(*party, 1)));
    }
  } catch (const Error&) {
    if (!found.empty()) print(found);
    throw;
  }
  Gathered gathered = gather(all, seat, found);
  Bytes code(1);
  if (all.rank() == 0) {
    if (const auto roster = roster_of(subject); roster && options.wants("mpi")) {
      append(job, check_parties(gathered.seats, roster->roster));
    }
    append(job, std::move(gathered.findings));
    print(job);
    code[0] = static_cast<std::uint8_t>(exit_code(job));
  }
  all.broadcast_bytes(code, 0);
  return static_cast<ExitCode>(code[0]);
}

}  // namespace concordat::cli::doctor
