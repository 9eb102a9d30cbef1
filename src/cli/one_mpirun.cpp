// Composes the mpi road: nothing else outside src/comm/ and src/border/ names what it is made of.
#include "cli/one_mpirun.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include "concordat/border/mpi_road.hpp"
#include "concordat/comm/interlink.hpp"
#include "concordat/core/log.hpp"
#include "concordat/federation/errors.hpp"
#include "concordat/site/border_loop.hpp"

namespace concordat::cli {
namespace {

using comm::Role;
using comm::Seat;

void add(std::string& list, const std::string& entry) {
  list += (list.empty() ? "" : ", ") + entry;
}

std::string text_of(const Seat& seat, int count) {
  switch (seat.role) {
    case Role::coordinator:
      return (count == 1 ? "coordinator " : std::to_string(count) + " coordinators ") + seat.party;
    case Role::border:
      return (count == 1 ? "border of " : std::to_string(count) + " borders of ") + seat.party;
    case Role::train:
      return std::to_string(count) + (count == 1 ? " rank of " : " ranks of ") + seat.party;
  }
  return seat.party;
}

/// All processes find the same fault at the same time; the first says it and ends the job, and the
/// others speak up only if it could not.
[[noreturn]] void throw_once(const comm::Split& split, const Error& error) {
  if (split.self != 0) std::this_thread::sleep_for(std::chrono::seconds(2));
  throw error;
}

void report(const std::exception& error) { log::error(error.what()); }

}  // namespace

Args expand_road_flag(Args args) {
  constexpr std::string_view brief = "--road=";
  for (std::string& arg : args) {
    if (arg.starts_with(brief)) arg = "--federation.road=" + arg.substr(brief.size());
  }
  return args;
}

comm::Runtime start_runtime() {
  static char program[] = "concordat";
  static char* argv_storage[] = {program, nullptr};
  int argc = 1;
  char** argv = argv_storage;
  return comm::Runtime::start(argc, argv);
}

Attendance attendance(std::span<const Seat> seats, const federation::Roster& roster) {
  std::vector<Seat> wanted{{Role::coordinator, roster.coordinator.name}};
  for (const federation::Member& site : roster.sites) {
    wanted.push_back({Role::border, site.name});
    wanted.push_back({Role::train, site.name});
  }
  Attendance result;
  std::vector<Seat> counted;
  for (const Seat& seat : seats) {
    if (std::find(counted.begin(), counted.end(), seat) != counted.end()) continue;
    counted.push_back(seat);
    const int count = static_cast<int>(std::count(seats.begin(), seats.end(), seat));
    add(result.present, text_of(seat, count));
    const bool known = std::find(wanted.begin(), wanted.end(), seat) != wanted.end();
    if (!known || (count > 1 && seat.role != Role::train))
      add(result.too_many, text_of(seat, count));
  }
  for (const Seat& seat : wanted) {
    if (std::find(counted.begin(), counted.end(), seat) != counted.end()) continue;
    add(result.missing, seat.role == Role::train ? "ranks of " + seat.party : text_of(seat, 1));
  }
  return result;
}

void require_one_mpirun(const comm::Split& split, const federation::SignedRoster& roster) {
  if (!roster.roster.allows_mpi_road()) {
    throw_once(split,
               Error(federation::errors::road_not_allowed,
                     {.what = "the roster does not allow the mpi road, which isolates no party",
                      .where = "federation.road",
                      .found = "mpi",
                      .expected = "a roster with \"roads\": [\"mpi\"], signed by everybody",
                      .remedy = "make it with 'concordat roster create --allow-mpi-road' and sign "
                                "it and a new agreement, or set federation.road = tls"}));
  }
  const Attendance here = attendance(split.seats, roster.roster);
  if (here.missing.empty() && here.too_many.empty()) return;
  std::string found = here.present;
  if (!here.too_many.empty()) found += "; not wanted: " + here.too_many;
  throw_once(
      split,
      Error(errors::usage,
            {.what = "this mpirun does not have the parties of the federation",
             .where = "federation.road = mpi",
             .found = std::move(found),
             .expected = here.missing.empty() ? "one coordinator, and a border of each site"
                                              : "also: " + here.missing,
             .remedy = "start all parties in one mpirun, separated by ':', each with "
                       "--road=mpi (docs/formats/mpi-road.md), or set federation.road = tls"}));
}

int border_in_one_mpirun(const SiteInput& input) {
  comm::Runtime runtime = start_runtime();
  return runtime.run_as(
      {Role::border, input.settings.name},
      [&](comm::Split& split) {
        require_one_mpirun(split, input.terms->roster);
        const site::BorderRoad road{
            .name = input.terms->roster.roster.coordinator.name + " (this mpirun)",
            .make = [&] { return border::make_mpi_site_road(*split.interlink); }};
        return static_cast<int>(site::run_border(input.settings, road));
      },
      report);
}

int coordinate_in_one_mpirun(const coordinator::CoordinatorSettings& settings) {
  comm::Runtime runtime = start_runtime();
  return runtime.run_as(
      {Role::coordinator, settings.name},
      [&](comm::Split& split) {
        const auto roster = federation::load_roster(posix_files(), settings.roster);
        require_one_mpirun(split, roster);
        log::warn(
            "all parties are in one mpirun: nothing isolates the sites from each other on "
            "this road");
        return static_cast<int>(coordinator::run_coordinator(
            settings, [&](const auto& budget, const border::PeerDirectory& peers) {
              return border::make_mpi_coordinator_road(*split.interlink, peers, {.budget = budget});
            }));
      },
      report);
}

}  // namespace concordat::cli
