// A site that gives its state to another: honest ledgers verify, and who hides or alters it is
// found.
#include "audit_fixture.hpp"

namespace concordat::audit::testing {
namespace {

using ledger::CrossingKind;
using ledger::Entry;

AuditReport audit_of(const std::filesystem::path& folder, SimulatedRun::Lie lie = {}) {
  const auto play = [](SimulatedRun& run) {
    run.play_until(0, CrossingKind::closed);
    run.play_until(1, CrossingKind::closed);
    run.give_state(1, alba, cala);
    run.play_until(2, CrossingKind::closed);
    run.play_until(3, CrossingKind::ready);
  };
  return report_of(folder, 3, play, std::move(lie));
}

TEST_F(AuditTest, state_that_a_site_gives_to_another_verifies) {
  const AuditReport report = audit_of(folder);
  EXPECT_TRUE(report.verified()) << all_faults(report);
  EXPECT_EQ(report.final_state, digest_of("state 3"));
}

TEST_F(AuditTest, state_that_did_not_come_over_the_coordinator_is_a_fault) {
  const AuditReport report =
      audit_of(folder, [](SiteId, Entry& entry) { return entry.kind != ledger::kinds::passed_on; });
  EXPECT_TRUE(has_fault(report, "matching.passed_on", "cala")) << all_faults(report);
}

TEST_F(AuditTest, state_whose_giving_the_donor_hides_is_a_fault) {
  const AuditReport report = audit_of(folder, [](SiteId party, Entry& entry) {
    return party != alba || entry.kind != ledger::kinds::state_blocks;
  });
  EXPECT_TRUE(has_fault(report, "matching.passed_on", "hub")) << all_faults(report);
  EXPECT_TRUE(has_fault(report, "matching.sent", "cala")) << all_faults(report);
}

TEST_F(AuditTest, state_given_without_a_decision_is_a_fault) {
  const AuditReport report = audit_of(folder, [](SiteId party, Entry& entry) {
    return party != alba || entry.key != "decision/state_blocks/1.0.0/site-2/0";
  });
  EXPECT_TRUE(has_fault(report, "decision.exists", "alba")) << all_faults(report);
}

TEST_F(AuditTest, state_that_is_not_the_rounds_is_a_fault) {
  const AuditReport report = audit_of(folder, [](SiteId, Entry& entry) {
    if (entry.kind == ledger::kinds::state_blocks) {
      set(entry, "state", digest_of("another").hex());
    }
    return true;
  });
  EXPECT_TRUE(has_fault(report, "facts.state", "alba")) << all_faults(report);
}

TEST_F(AuditTest, state_that_the_recipient_would_not_take_is_a_note) {
  const AuditReport report = audit_of(folder, [](SiteId party, Entry& entry) {
    return party != cala || entry.kind != ledger::kinds::state_blocks;
  });
  EXPECT_TRUE(report.verified()) << all_faults(report);
}

}  // namespace
}  // namespace concordat::audit::testing
