// Aggregates that a site goes without: honest claims verify and are named, false ones are found.
#include "audit_fixture.hpp"

namespace concordat::audit::testing {
namespace {

using ledger::CrossingKind;
using ledger::Entry;

/// Four sites; rounds 1 to 3 go without dora, which comes back from alba's state of round 3.
void play_forgone(SimulatedRun& run) {
  run.play_until(0, CrossingKind::closed);
  run.go_without(dora);
  for (std::uint32_t round = 1; round < 4; ++round) run.play_until(round, CrossingKind::closed);
  for (const SiteId party : {coordinator_id, dora}) {
    run.forgo(party, 1, dora);
    run.forgo(party, 2, dora);
  }
  run.give_state(3, alba, dora);
  run.go_without({});
  run.play_until(4, CrossingKind::closed);
  run.play_until(5, CrossingKind::ready);
}

AuditReport forgone_audit_of(const std::filesystem::path& folder, SimulatedRun::Lie lie = {}) {
  return report_of(folder, 4, play_forgone, std::move(lie));
}

SimulatedRun::Lie claim(const std::string& field, const std::string& value) {
  return change(dora, "forgone/1.0.0/site-3", field, value);
}

TEST_F(AuditTest, site_that_goes_on_from_a_donors_state_verifies_and_is_named) {
  const AuditReport report = forgone_audit_of(folder);
  EXPECT_TRUE(report.verified()) << all_faults(report);
  EXPECT_TRUE(has_note(report,
                       "dora goes on without the aggregates of exchanges 1.0.0 to 2.0.0, which "
                       "were kept no longer: it has the state of exchange 3.0.0 from alba"))
      << report.text();
  EXPECT_FALSE(has_note(report, "had not heard"));
}

TEST_F(AuditTest, site_that_has_not_come_back_yet_is_named) {
  SimulatedRun run(folder, {}, 4);
  run.play_until(0, CrossingKind::closed);
  run.go_without(dora);
  run.play_until(1, CrossingKind::closed);
  run.forgo(coordinator_id, 1, dora);
  run.sign_all();
  const AuditReport away = run.audit();
  EXPECT_TRUE(away.verified()) << all_faults(away);
  EXPECT_TRUE(has_note(away,
                       "hub keeps the aggregates of exchange 1.0.0 no longer, and had not "
                       "heard that dora has them"))
      << away.text();
  run.forgo(dora, 1, dora);
  run.sign_all();
  const AuditReport waiting = run.audit();
  EXPECT_TRUE(waiting.verified()) << all_faults(waiting);
  EXPECT_TRUE(has_note(waiting, "it waits for the state of another site")) << waiting.text();
}

TEST_F(AuditTest, claim_to_go_without_what_the_coordinator_keeps_is_a_fault) {
  const AuditReport report = forgone_audit_of(folder, [](SiteId party, Entry& entry) {
    return party != coordinator_id || entry.key != "forgone/2.0.0/site-3";
  });
  EXPECT_TRUE(has_fault(report, "forgone.let_go", "dora")) << all_faults(report);
}

TEST_F(AuditTest, site_that_is_ready_again_without_a_donors_state_is_found) {
  const AuditReport report = forgone_audit_of(folder, [](SiteId, Entry& entry) {
    return entry.kind != ledger::kinds::state_blocks && entry.kind != ledger::kinds::passed_on;
  });
  EXPECT_TRUE(has_fault(report, "forgone.donated", "dora")) << all_faults(report);
}

TEST_F(AuditTest, state_of_an_older_round_makes_no_forgone_aggregate_good) {
  const AuditReport report = report_of(folder, 4, [](SimulatedRun& run) {
    run.play_until(0, CrossingKind::closed);
    run.go_without(dora);
    for (std::uint32_t round = 1; round < 3; ++round) run.play_until(round, CrossingKind::closed);
    for (const SiteId party : {coordinator_id, dora}) run.forgo(party, 2, dora);
    run.give_state(1, alba, dora);
    run.go_without({});
    run.play_until(3, CrossingKind::ready);
  });
  EXPECT_TRUE(has_fault(report, "forgone.donated", "dora")) << all_faults(report);
}

TEST_F(AuditTest, participant_that_claims_to_go_without_its_aggregate_is_found) {
  for (const SiteId liar : {alba, coordinator_id}) {
    const AuditReport report = report_of(folder / ledger::party(liar), 4, [&](SimulatedRun& run) {
      run.play_until(0, CrossingKind::closed);
      run.forgo(liar, 0, alba);
    });
    EXPECT_TRUE(has_fault(report, "forgone.missed", liar == alba ? "alba" : "hub"))
        << all_faults(report);
  }
}

TEST_F(AuditTest, claim_about_an_exchange_that_nobody_knows_is_found) {
  const AuditReport report = report_of(folder, 4, [](SimulatedRun& run) {
    run.play_until(0, CrossingKind::closed);
    run.forgo(dora, 7, dora);
  });
  EXPECT_TRUE(has_fault(report, "forgone.missed", "dora")) << all_faults(report);
}

TEST_F(AuditTest, forged_claim_is_found) {
  const std::string other = digest_of("a lie").hex();
  const AuditReport root = forgone_audit_of(folder / "a", claim("root", other));
  EXPECT_TRUE(has_fault(root, "facts.aggregate", "dora")) << all_faults(root);
  const AuditReport manifest = forgone_audit_of(folder / "b", claim("manifest", other));
  EXPECT_TRUE(has_fault(manifest, "facts.manifest", "dora")) << all_faults(manifest);
  const AuditReport party = forgone_audit_of(folder / "c", claim("site", "site-0"));
  EXPECT_TRUE(has_fault(party, "forgone.party", "dora")) << all_faults(party);
  const AuditReport form = forgone_audit_of(folder / "d", claim("site", "somebody"));
  EXPECT_TRUE(has_fault(form, "entry.form", "dora")) << all_faults(form);
}

}  // namespace
}  // namespace concordat::audit::testing
