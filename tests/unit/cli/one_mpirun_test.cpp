// Who has to be in the one mpirun of the mpi road.
#include "cli/one_mpirun.hpp"

#include <gtest/gtest.h>

namespace concordat::cli {
namespace {

using comm::Role;
using comm::Seat;

federation::Roster roster() {
  federation::Roster roster;
  roster.coordinator.name = "hub";
  roster.sites.resize(2);
  roster.sites[0].name = "alba";
  roster.sites[1].name = "brio";
  return roster;
}

const std::vector<Seat> all{{Role::coordinator, "hub"}, {Role::border, "alba"},
                            {Role::train, "alba"},      {Role::train, "alba"},
                            {Role::border, "brio"},     {Role::train, "brio"}};

TEST(OneMpirun, EverybodyIsThere) {
  const Attendance found = attendance(all, roster());
  EXPECT_EQ(found.missing, "");
  EXPECT_EQ(found.too_many, "");
  EXPECT_EQ(found.present,
            "coordinator hub, border of alba, 2 ranks of alba, border of brio, 1 rank of brio");
}

TEST(OneMpirun, WhoIsMissingIsNamed) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::vector<Seat> seats = all;
    seats.erase(seats.begin() + static_cast<std::ptrdiff_t>(i));
    const Attendance found = attendance(seats, roster());
    const bool one_of_two = i == 2 || i == 3;
    EXPECT_EQ(found.missing.empty(), one_of_two) << i;
    EXPECT_EQ(found.too_many, "");
  }
  const std::vector<Seat> alone{{Role::train, "brio"}};
  EXPECT_EQ(attendance(alone, roster()).missing,
            "coordinator hub, border of alba, ranks of alba, border of brio");
}

TEST(OneMpirun, StrangersAndDoublesAreNamed) {
  const auto with = [](Seat more) {
    std::vector<Seat> seats = all;
    seats.push_back(std::move(more));
    return attendance(seats, roster()).too_many;
  };
  EXPECT_EQ(with({Role::coordinator, "hub"}), "2 coordinators hub");
  EXPECT_EQ(with({Role::border, "alba"}), "2 borders of alba");
  EXPECT_EQ(with({Role::train, "cala"}), "1 rank of cala");
  EXPECT_EQ(with({Role::train, "hub"}), "1 rank of hub");
  EXPECT_EQ(with({Role::train, "alba"}), "");
}

TEST(OneMpirun, TheShortFlagIsTheLongOne) {
  EXPECT_EQ(expand_road_flag({"site.toml", "--road=mpi", "--roadway=1", "--train.batch=4"}),
            (Args{"site.toml", "--federation.road=mpi", "--roadway=1", "--train.batch=4"}));
}

}  // namespace
}  // namespace concordat::cli
