// The doctor's checks of a party: keys, and the road to the coordinator.
#include <gtest/gtest.h>

#include <filesystem>

#include "cli/doctor_checks.hpp"
#include "cli/doctor_parties.hpp"
#include "concordat/border/errors.hpp"
#include "concordat/crypto/random.hpp"
#include "support/temporary_folder.hpp"
#include "unit/cli/findings.hpp"

namespace concordat::cli::doctor {
namespace {

using namespace testing_support;
using border::Reach;
using testing_support::Findings;
using testing_support::Level;

class DoctorKeys : public testing::Test {
 protected:
  DoctorKeys() { crypto::create_site_keys(posix_files(), keys_, "alba", crypto::system_random()); }
  Findings check(const std::string& name = "alba") {
    auto result = check_keys(posix_files(), keys_, name);
    expect_remedies(result.findings);
    usable_ = result.keys.has_value();
    return result.findings;
  }
  TemporaryFolder folder_;
  Path keys_ = folder_.path() / "keys";
  bool usable_ = false;
};

TEST_F(DoctorKeys, AWholeFolderPasses) {
  const auto findings = check();
  EXPECT_TRUE(all_ok(findings));
  EXPECT_TRUE(usable_);
  EXPECT_TRUE(has(findings, Level::ok, "TLS certificate of alba"));
}

TEST_F(DoctorKeys, KeysOfAnotherPartyFail) {
  EXPECT_TRUE(has(check("brio"), Level::fail, "alba's, not brio's", "correct the name"));
  EXPECT_FALSE(usable_);
}

TEST_F(DoctorKeys, MissingOpenAndDamagedFilesFail) {
  std::filesystem::permissions(keys_, std::filesystem::perms(0750));
  EXPECT_TRUE(has(check(), Level::fail, "group or others", "chmod 0700"));
  std::filesystem::permissions(keys_, std::filesystem::perms(0700));
  std::filesystem::remove(keys_ / "alba.pub");
  EXPECT_TRUE(has(check(), Level::warn, "alba.pub is missing", "restore"));
  flip_bit(keys_ / "tls.key", 40);
  EXPECT_TRUE(has(check(), Level::fail, "tls.key"));
  std::filesystem::remove(keys_ / "tls.key");
  EXPECT_TRUE(has(check(), Level::fail, "tls.key"));
  std::filesystem::remove_all(keys_);
  EXPECT_TRUE(has(check(), Level::fail, "there are no keys", "concordat keys create"));
}

TEST_F(DoctorKeys, APublicFileOfOtherKeysFails) {
  const Path other = folder_.path() / "other";
  crypto::create_site_keys(posix_files(), other, "alba", crypto::system_random());
  std::filesystem::copy_file(other / "alba.pub", keys_ / "alba.pub",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_TRUE(has(check(), Level::fail, "shows other keys", "one backup"));
}

/// Answers as told.
struct FakeRoad {
  Reach reach{.step = Reach::Step::connected, .found = {"192.0.2.7"}};
  std::optional<Error> refusal{};
  int asked = 0;
  ReachSeams seams() {
    return {.reach = [this](const border::Address&) { return reach; },
            .ask =
                [this](const border::Address&) {
                  ++asked;
                  if (refusal) throw Error(*refusal);
                }};
  }
};

Findings look(FakeRoad& road,
              ReachRequest request = {.address = "hub.example.org:7443", .origin = "the roster"}) {
  auto findings = check_reach(request, road.seams());
  expect_remedies(findings);
  return findings;
}

TEST(DoctorReach, AnAnswerPasses) {
  FakeRoad road;
  EXPECT_TRUE(all_ok(look(road)));
  EXPECT_EQ(road.asked, 1);
}

TEST(DoctorReach, EachStepThatFailsHasItsRemedy) {
  FakeRoad road;
  road.reach = {.step = Reach::Step::resolve, .reason = "Name or service not known"};
  EXPECT_TRUE(has(look(road), Level::fail, "hub.example.org is not known", "DNS"));
  road.reach = {.step = Reach::Step::connect,
                .failure = Reach::Failure::refused,
                .reason = "Connection refused",
                .found = {"192.0.2.7"}};
  EXPECT_TRUE(has(look(road), Level::fail, "Connection refused", "check the port in the roster"));
  road.reach.failure = Reach::Failure::timed_out;
  EXPECT_TRUE(has(look(road), Level::fail, "192.0.2.7", "firewall"));
  road.reach.failure = Reach::Failure::other;
  EXPECT_TRUE(has(look(road), Level::fail, "no connection", "route"));
  EXPECT_EQ(road.asked, 0);
  EXPECT_TRUE(has(look(road, {.address = "nowhere", .origin = "federation.address"}), Level::fail,
                  "federation.address"));
}

TEST(DoctorReach, KeysThatDoNotMatchAreTold) {
  FakeRoad road;
  road.refusal = Error(border::errors::unknown_peer, {.what = "another key"});
  EXPECT_TRUE(has(look(road), Level::fail, "another key than the roster's", "new roster"));
  road.refusal = Error(border::errors::road_down, {.what = "the connection failed to read",
                                                   .found = "tlsv1 alert unknown ca"});
  EXPECT_TRUE(has(look(road), Level::fail, "alert", "refuses this site's key"));
  road.refusal = Error(border::errors::road_down, {.what = "the connection failed to shake hands",
                                                   .found = "wrong version number"});
  EXPECT_TRUE(has(look(road), Level::fail, "wrong version", "end to end"));
}

TEST(DoctorReach, ANameThatLeadsHomeWarns) {
  FakeRoad road;
  road.reach.found = {"127.0.1.1"};
  EXPECT_TRUE(has(look(road), Level::warn, "127.0.1.1 here: this machine itself", "/etc/hosts"));
  EXPECT_TRUE(all_ok(look(road, {.address = "127.0.0.1:7443", .origin = "the roster"})));
}

TEST(DoctorReach, ABorderThatRunsIsNotDisturbed) {
  FakeRoad road;
  const auto findings = look(road, {.address = "hub.example.org:7443",
                                    .origin = "the roster",
                                    .border = "role=border host=node7 pid=12 job=-"});
  EXPECT_TRUE(all_ok(findings));
  EXPECT_TRUE(has(findings, Level::ok, "host=node7"));
  const auto troubled = look(road, {.address = "hub.example.org:7443",
                                    .origin = "the roster",
                                    .border = "role=border host=node7 pid=12 job=-",
                                    .trouble = "no route"});
  EXPECT_TRUE(has(troubled, Level::warn, "does not answer it: no route", "border's log"));
  EXPECT_EQ(road.asked, 0);
}

TEST(DoctorReach, AJobNeedsNoRoad) {
  FakeRoad road;
  road.reach = {.step = Reach::Step::connect, .failure = Reach::Failure::timed_out};
  const auto findings =
      look(road, {.address = "hub.example.org:7443", .origin = "the roster", .only_border = true});
  EXPECT_EQ(exit_code(findings), ExitCode::done);
  EXPECT_TRUE(has(findings, Level::warn, "only the border needs this road"));
}

TEST(DoctorListen, WhatOthersCannotReachIsTold) {
  FakeRoad road;
  int bound = 0;
  const auto bind = [&](const border::Address&) { ++bound; };
  const auto check = [&](const std::string& listen, const std::string& announced,
                         const std::string& running = "") {
    auto findings = check_listen(listen, announced, running, road.seams(), bind);
    expect_remedies(findings);
    return findings;
  };
  EXPECT_TRUE(all_ok(check("0.0.0.0:7443", "hub.example.org:7443")));
  EXPECT_EQ(bound, 1);
  EXPECT_TRUE(has(check("127.0.0.1:7443", "hub.example.org:7443"), Level::fail,
                  "only this machine reaches it", "0.0.0.0:7443"));
  EXPECT_TRUE(has(check("0.0.0.0:7444", "hub.example.org:7443"), Level::warn, "port 7444"));
  bound = 0;
  EXPECT_TRUE(all_ok(check("0.0.0.0:7443", "hub.example.org:7443", "role=coordinator pid=4")));
  EXPECT_EQ(bound, 0) << "a coordinator that runs holds the address";
  road.reach.found = {"127.0.1.1"};
  EXPECT_TRUE(has(check("0.0.0.0:7443", "hub.example.org:7443"), Level::warn, "127.0.1.1"));
}

federation::SignedRoster roster_of_two(bool allows) {
  federation::SignedRoster roster;
  roster.roster.coordinator.name = "hub";
  roster.roster.sites.resize(2);
  roster.roster.sites[0].name = "alba";
  roster.roster.sites[1].name = "brio";
  if (allows) roster.roster.roads = {"mpi"};
  return roster;
}

TEST(DoctorRoad, TheRosterHasToAllowTheMpiRoad) {
  const auto allowed = roster_of_two(true);
  const auto refused = roster_of_two(false);
  EXPECT_TRUE(all_ok(check_mpi_road(&allowed)));
  EXPECT_TRUE(has(check_mpi_road(&allowed), Level::ok, "no address is dialled"));
  EXPECT_TRUE(has(check_mpi_road(&refused), Level::fail, "does not allow that road",
                  "roster create --allow-mpi-road"));
  EXPECT_TRUE(has(check_mpi_road(nullptr), Level::warn, "not checked", "keys"));
}

TEST(DoctorRoad, WhoIsMissingOrNotWantedInOneMpirunIsNamed) {
  using comm::Role;
  const federation::Roster roster = roster_of_two(true).roster;
  std::vector<comm::Seat> seats{{Role::coordinator, "hub"},
                                {Role::border, "alba"},
                                {Role::train, "alba"},
                                {Role::border, "brio"},
                                {Role::train, "brio"}};
  EXPECT_TRUE(has(check_parties(seats, roster), Level::ok, "1 rank of alba, border of brio"));
  seats.pop_back();
  EXPECT_TRUE(has(check_parties(seats, roster), Level::fail, "missing: ranks of brio",
                  "one coordinator, and a border"));
  seats.push_back({Role::train, "brio"});
  seats.push_back({Role::coordinator, "hub"});
  EXPECT_TRUE(has(check_parties(seats, roster), Level::fail, "not wanted: 2 coordinators hub"));
}

TEST(DoctorReport, FindingsReachAnotherProcessWhole) {
  Findings findings{ok("files", "fine"), fail("mpi", "not\nso", "do this")};
  findings[0].figures = {{"write_bytes_per_s", 1.5e9}, {"x", -0.25}};
  const Findings there = decode_findings(encode(findings));
  EXPECT_EQ(json_of(there), json_of(findings));
  EXPECT_TRUE(decode_findings(encode({})).empty());
}

}  // namespace
}  // namespace concordat::cli::doctor
