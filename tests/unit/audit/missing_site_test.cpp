// Rounds that go without a site: honest ones verify, and who lies about them is found.
#include <algorithm>

#include "audit_fixture.hpp"

namespace concordat::audit::testing {
namespace {

using ledger::CrossingKind;
using ledger::Entry;

/// Four sites; rounds 1 and 2 go without dora.
void play_without_dora(SimulatedRun& run) {
  run.play_until(0, CrossingKind::closed);
  run.go_without(dora);
  run.play_until(1, CrossingKind::closed);
  run.play_until(2, CrossingKind::closed);
  run.go_without({});
  run.play_until(3, CrossingKind::closed);
  run.play_until(4, CrossingKind::ready);
}

AuditReport missing_audit_of(const std::filesystem::path& folder, SimulatedRun::Lie lie = {}) {
  return report_of(folder, 4, play_without_dora, std::move(lie));
}

TEST_F(AuditTest, run_that_goes_without_a_site_for_two_rounds_verifies) {
  const AuditReport report = missing_audit_of(folder);
  EXPECT_TRUE(report.verified()) << all_faults(report);
  EXPECT_EQ(report.notes, (std::vector<std::string>{"exchange 1.0.0 went without dora",
                                                    "exchange 2.0.0 went without dora"}));
  EXPECT_EQ(report.final_state, digest_of("state 4"));
  EXPECT_EQ(report.ledgers[4].in.at("aggregate").num_messages, 4U);
  EXPECT_EQ(report.ledgers[4].out.at("upload").num_messages, 2U);
}

TEST_F(AuditTest, ready_that_came_too_late_is_a_note) {
  SimulatedRun run(
      folder,
      [](SiteId party, Entry& entry) {
        return party != coordinator_id || entry.key != "ready/in/1.0.0/site-3/coordinator/0";
      },
      4);
  run.play_until(0, CrossingKind::closed);
  run.say_late_ready(1, dora);
  run.go_without(dora);
  run.play_until(1, CrossingKind::closed);
  run.go_without({});
  run.play_until(2, CrossingKind::ready);
  run.sign_all();
  const AuditReport report = run.audit();
  EXPECT_TRUE(report.verified()) << all_faults(report);
  EXPECT_TRUE(std::ranges::any_of(report.notes, [](const std::string& note) {
    return note.find("came too late") != std::string::npos;
  }));
}

TEST_F(AuditTest, coordinator_that_leaves_out_a_site_whose_ready_it_took_is_found) {
  SimulatedRun run(folder, {}, 4);
  run.play_until(0, CrossingKind::closed);
  run.say_late_ready(1, dora);
  run.go_without(dora);
  run.play_until(1, CrossingKind::closed);
  run.sign_all();
  const AuditReport report = run.audit();
  EXPECT_TRUE(has_fault(report, "steps.missed", "hub")) << all_faults(report);
  EXPECT_FALSE(has_fault(report, "steps.missed", "dora")) << "it may have been ready";
}

TEST_F(AuditTest, fewer_participants_than_the_agreement_wants_are_found) {
  SimulatedRun run(folder, {}, 4);
  play_without_dora(run);
  run.sign_all();
  for (const auto& [minimum, colluding] : {std::pair{4U, 1U}, std::pair{3U, 2U}}) {
    AuditInput input = run.input();
    input.minimum = minimum;
    input.colluding = colluding;
    const AuditReport report = run_audit(posix_files(), input);
    EXPECT_TRUE(has_fault(report, "roster.participants", "hub")) << all_faults(report);
  }
}

TEST_F(AuditTest, what_is_assumed_for_want_of_an_agreement_is_said) {
  SimulatedRun run(folder, {}, 4);
  play_without_dora(run);
  run.sign_all();
  AuditInput input = run.input();
  const auto said = [&] {
    const AuditReport report = run_audit(posix_files(), input);
    EXPECT_TRUE(report.verified()) << all_faults(report);
    return report.text().find("a minimum of 3 and 1 colluding site were assumed") !=
           std::string::npos;
  };
  EXPECT_FALSE(said());
  input.minimum.reset();
  EXPECT_TRUE(said());
  input = run.input();
  input.colluding.reset();
  EXPECT_TRUE(said());
}

struct ForgedOmission {
  const char* what;
  SimulatedRun::Lie lie;
  const char* check;
  const char* ledger;
};

TEST_F(AuditTest, forged_omission_is_found) {
  const SiteId hub = coordinator_id;
  const std::string other = digest_of("a lie").hex();
  const ForgedOmission lies[] = {
      {"the coordinator writes that a round went without a site that took part",
       [](SiteId party, Entry& entry) {
         if (party == coordinator_id && entry.key.starts_with("manifest/out/3.0.0/")) {
           for (auto& [name, value] : entry.fields) {
             if (name == "participants") value = "site-0,site-1,site-2";
           }
         }
         return true;
       },
       "steps.missed", "hub"},
      {"one participant is shown that another was not there",
       change(SiteId{1}, "manifest/in/3.0.0/coordinator/site-1/0", "participants",
              "site-0,site-1,site-2"),
       "facts.participants", "brio"},
      {"fewer are named than a round needs",
       change(hub, "manifest/out/1.0.0/coordinator/site-0/0", "participants", "site-0,site-1"),
       "roster.participants", "hub"},
      {"the missing site is shown another aggregate",
       change(dora, "aggregate/in/1.0.0/coordinator/site-3/0", "root", other), "facts.aggregate",
       "dora"},
      {"the missing site is shown another closing record",
       change(dora, "closed/in/2.0.0/coordinator/site-3/0", "document", other),
       "facts.closing_record", "dora"},
      {"the missing site goes on without the record of a round",
       leave_out(dora, "closed/in/2.0.0/coordinator/site-3/0"), "steps.chain", "dora"},
      {"the record was withheld and the site goes on all the same",
       [](SiteId party, Entry& entry) {
         return !(entry.key == "closed/out/2.0.0/coordinator/site-3/0" && party == coordinator_id);
       },
       "matching.sent", "dora"},
      {"the record is said before a participant received",
       leave_out(hub, "received/in/1.0.0/site-1/coordinator/0"), "steps.barrier", "hub"},
      {"a record without a decision", leave_out(hub, "decision/aggregate/1.0.0/site-3/0"),
       "decision.exists", "hub"},
  };
  for (const ForgedOmission& forged : lies) {
    const AuditReport report = missing_audit_of(folder, forged.lie);
    EXPECT_TRUE(has_fault(report, forged.check, forged.ledger)) << forged.what << "\n"
                                                                << all_faults(report);
  }
}

}  // namespace
}  // namespace concordat::audit::testing
