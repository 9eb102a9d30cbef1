#include "audit_fixture.hpp"

namespace concordat::audit::testing {
namespace {

TEST_F(AuditTest, honest_run_verifies) {
  SimulatedRun run(folder);
  run.play(3);
  const AuditReport report = run.audit();
  EXPECT_TRUE(report.verified()) << all_faults(report);
  EXPECT_EQ(report.exit_code(), ExitCode::done);
  EXPECT_TRUE(report.notes.empty()) << report.notes.front();
  ASSERT_EQ(report.ledgers.size(), 4U);
  EXPECT_EQ(report.ledgers[0].name, "hub");
  EXPECT_EQ(report.ledgers[1].out.at("upload").num_messages, 3U);
  EXPECT_EQ(report.ledgers[1].out.at("upload").frame_bytes, 48'000U);
  EXPECT_EQ(report.ledgers[0].in.at("upload").frame_bytes, 144'000U);
  ASSERT_EQ(report.exchanges.size(), 4U);
  EXPECT_TRUE(report.exchanges[2].closed);
  EXPECT_FALSE(report.exchanges[3].closed);
  EXPECT_EQ(report.exchanges[1].tokens, 90'000U);
  EXPECT_EQ(report.exchanges[1].aggregate, digest_of("aggregate 1"));
  EXPECT_EQ(report.final_state, digest_of("state 3"));
}

TEST_F(AuditTest, run_that_stands_anywhere_verifies) {
  using ledger::CrossingKind;
  for (const CrossingKind last :
       {CrossingKind::ready, CrossingKind::manifest, CrossingKind::cosign, CrossingKind::go,
        CrossingKind::header, CrossingKind::survivors, CrossingKind::agree, CrossingKind::aggregate,
        CrossingKind::received, CrossingKind::closed}) {
    SimulatedRun run(folder);
    run.play_until(0, CrossingKind::closed);
    run.sign_all();
    run.play_until(1, last);
    const AuditReport report = run.audit();
    EXPECT_TRUE(report.verified()) << ledger::name_of(last) << "\n" << all_faults(report);
    EXPECT_EQ(report.notes.size(), 4U) << "each ledger has an unsigned tail";
  }
}

TEST_F(AuditTest, message_on_its_way_is_a_note_and_a_swallowed_one_a_fault) {
  using ledger::CrossingKind;
  const auto swallow = [](SiteId party, ledger::Entry& entry) {
    return !(party == SiteId{1} && entry.key == "closed/in/0.0.0/coordinator/site-1/0");
  };
  SimulatedRun on_its_way(folder, swallow);
  on_its_way.play_until(0, CrossingKind::closed);
  on_its_way.sign_all();
  const AuditReport waiting = on_its_way.audit();
  EXPECT_TRUE(waiting.verified()) << all_faults(waiting);
  EXPECT_EQ(waiting.notes.size(), 1U);
  SimulatedRun swallowed(folder, swallow);
  swallowed.play(2);
  const AuditReport later = swallowed.audit();
  EXPECT_TRUE(has_fault(later, "matching.received", "hub")) << all_faults(later);
  EXPECT_TRUE(has_fault(later, "steps.chain", "brio")) << all_faults(later);
}

TEST_F(AuditTest, ledger_that_only_saw_an_ingest_verifies) {
  SimulatedRun run(folder);
  run.ledger(SiteId{0}).append(ledger::ingest_entry(
      {.dataset = "german", .language = "de", .purpose = "test", .source = "corpus/de"}));
  run.sign_all();
  const AuditReport report = run.audit();
  EXPECT_TRUE(report.verified()) << all_faults(report);
}

TEST_F(AuditTest, other_federation_or_agreement_than_given_is_found) {
  SimulatedRun run(folder);
  run.play(1);
  AuditInput input = run.input();
  input.federation = digest_of("roster");
  input.agreement = digest_of("agreement");
  EXPECT_TRUE(run_audit(posix_files(), input).verified());
  input.agreement = digest_of("another agreement");
  const AuditReport report = run_audit(posix_files(), input);
  ASSERT_EQ(report.faults.size(), 1U) << all_faults(report);
  EXPECT_EQ(report.faults[0].check, "agreement.exists");
  EXPECT_EQ(report.exit_code(), ExitCode::data);
}

TEST_F(AuditTest, second_run_over_the_same_folders_is_audited_by_itself) {
  SimulatedRun run(folder);
  run.play(2);
  run.start_another_run("agreement 2");
  run.play(3);
  const AuditReport newest = run.audit();
  EXPECT_TRUE(newest.verified()) << all_faults(newest);
  EXPECT_EQ(newest.exchanges.size(), 4U);
  EXPECT_EQ(newest.notes.size(), 4U) << "each ledger holds another run too";
  AuditInput input = run.input();
  input.agreement = digest_of("agreement");
  const AuditReport first = run_audit(posix_files(), input);
  EXPECT_TRUE(first.verified()) << all_faults(first);
  EXPECT_EQ(first.exchanges.size(), 3U);
}

TEST_F(AuditTest, fifty_rounds_verify) {
  SimulatedRun run(folder);
  run.play(50);
  EXPECT_TRUE(run.audit().verified());
}

}  // namespace
}  // namespace concordat::audit::testing
