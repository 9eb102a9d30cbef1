// One lie each; the audit names a check and the ledger it is told in.
#include <fstream>

#include "audit_fixture.hpp"
#include "concordat/ledger/verify.hpp"

namespace concordat::audit::testing {
namespace {

using ledger::Entry;

AuditInput without(AuditInput input, SiteId party) {
  std::erase_if(input.parties, [party](const AuditParty& one) { return one.id == party; });
  return input;
}

struct PlantedLie {
  const char* what;
  SimulatedRun::Lie lie;
  const char* check;
  const char* ledger;  ///< name of the party in whose ledger the fault is shown
};

std::vector<PlantedLie> lies() {
  const SiteId hub = coordinator_id;
  const std::string other = digest_of("a lie").hex();
  const std::string generation =
      "checkpoint/demo/step-000031/" + digest_of("generation 1").hex().substr(0, 16);
  return {
      {"the coordinator shows one site another manifest",
       change(brio, "manifest/in/1.0.0/coordinator/site-1/0", "document", other), "facts.manifest",
       "brio"},
      {"a site cosigns another manifest",
       change(brio, "cosign/out/1.0.0/site-1/coordinator/0", "manifest", other), "facts.manifest",
       "brio"},
      {"a site starts from another state",
       change(cala, "ready/out/1.0.0/site-2/coordinator/0", "state", other), "facts.state", "cala"},
      {"the ranks proved another state than the border said",
       change(cala, "state/1", "state", other), "facts.state", "cala"},
      {"the run did not start from the agreed state",
       change(alba, "agreement/" + digest_of("agreement").hex(), "initial_state", other),
       "facts.state", "alba"},
      {"a site runs under another agreement",
       change(alba, "agreement/" + digest_of("agreement").hex(), "agreement", other),
       "agreement.exists", "alba"},
      {"the manifest names another roster",
       change(hub, "manifest/out/0.0.0/coordinator/site-0/0", "roster", other), "facts.roster",
       "hub"},
      {"the manifest continues another history",
       change(hub, "manifest/out/1.0.0/coordinator/site-0/0", "previous_closing", other),
       "facts.closing_record", "hub"},
      {"one site gets another aggregate",
       change(cala, "aggregate/in/1.0.0/coordinator/site-2/0", "root", other), "facts.aggregate",
       "cala"},
      {"a site says it received another aggregate",
       change(cala, "received/out/1.0.0/site-2/coordinator/0", "root", other), "facts.aggregate",
       "cala"},
      {"the closing record is another at one site",
       change(alba, "closed/in/1.0.0/coordinator/site-0/0", "document", other),
       "facts.closing_record", "alba"},
      {"the weights differ",
       change(alba, "closed/in/1.0.0/coordinator/site-0/0", "tokens", "90001"), "facts.tokens",
       "alba"},
      {"a survivor is left out",
       change(hub, "survivors/out/1.0.0/coordinator/site-0/0", "survivors", "site-0,site-1"),
       "facts.survivors", "hub"},
      {"the message that came is not the one that left",
       change(hub, "cosign/in/1.0.0/site-1/coordinator/0", "digest", other), "matching.same",
       "brio"},
      {"fewer bytes arrived than left",
       change(hub, "upload/in/1.0.0/site-1/coordinator/0", "frame_bytes", "15999"), "matching.same",
       "brio"},
      {"an upload left without an entry", leave_out(brio, "upload/out/1.0.0/site-1/coordinator/0"),
       "matching.sent", "hub"},
      {"an upload came and was not recorded",
       leave_out(hub, "upload/in/1.0.0/site-1/coordinator/0"), "matching.received", "brio"},
      {"a crossing without a decision", leave_out(alba, "decision/cosign/1.0.0/coordinator/0"),
       "decision.exists", "alba"},
      {"a decision about another recipient",
       change(alba, "decision/cosign/1.0.0/coordinator/0", "to", "site-1"), "decision.permits",
       "alba"},
      {"more bytes than the decision permits",
       change(alba, "decision/header/1.0.0/coordinator/0", "max_bytes", "16299"),
       "decision.permits", "alba"},
      {"a decision about another manifest",
       change(alba, "decision/header/1.0.0/coordinator/0", "manifest", other), "decision.permits",
       "alba"},
      {"an upload without a commit", leave_out(brio, "commit/1.0.0"), "commit.exists", "brio"},
      {"an upload that is not what was committed", change(brio, "commit/1.0.0", "root", other),
       "commit.upload", "brio"},
      {"a commit of a generation without its entry", leave_out(brio, generation),
       "commit.checkpoint", "brio"},
      {"a generation of another round", change(brio, generation, "round", "0"), "commit.checkpoint",
       "brio"},
      {"a cosignature that is none",
       change(hub, "cosign/in/1.0.0/site-1/coordinator/0", "signature", std::string(128, '0')),
       "signature.cosign", "hub"},
      {"a cosignature of another manifest",
       change(brio, "cosign/out/1.0.0/site-1/coordinator/0", "manifest", other), "signature.cosign",
       "brio"},
      {"a received statement about another weight",
       change(hub, "received/in/1.0.0/site-1/coordinator/0", "tokens", "90001"),
       "signature.received", "hub"},
      {"a cosignature that is no text of bytes",
       change(hub, "cosign/in/1.0.0/site-1/coordinator/0", "signature", "none"), "signature.cosign",
       "hub"},
      {"a received statement about other survivors",
       change(hub, "survivors/out/1.0.0/coordinator/site-1/0", "document", other),
       "signature.received", "hub"},
      {"a ready that was said in another run",
       change(alba, "ready/out/1.0.0/site-0/coordinator/0", "manifest", other), "facts.agreement",
       "alba"},
      {"go before everybody cosigned", leave_out(hub, "cosign/in/1.0.0/site-2/coordinator/0"),
       "steps.barrier", "hub"},
      {"a site that uploads without go", leave_out(cala, "go/in/1.0.0/coordinator/site-2/0"),
       "steps.complete", "cala"},
      {"a head that was never the ledger's",
       change(hub, "ready/in/1.0.0/site-1/coordinator/0", "ledger_root", other), "witness.root",
       "brio"},
      {"a longer ledger was seen than there is",
       change(hub, "ready/in/1.0.0/site-1/coordinator/0", "ledger_size", "4000"), "witness.size",
       "brio"},
      {"no agreement was accepted", leave_out(brio, "agreement/" + digest_of("agreement").hex()),
       "agreement.exists", "brio"},
      {"an entry of an unknown kind",
       [](SiteId party, Entry& entry) {
         if (party == SiteId{1} && entry.kind == "state") entry.kind = "remark";
         return true;
       },
       "entry.kind", "brio"},
      {"a crossing with a field removed",
       [](SiteId party, Entry& entry) {
         if (party == SiteId{1} && entry.kind == "upload") entry.fields.erase(entry.fields.begin());
         return true;
       },
       "entry.form", "brio"},
  };
}

TEST_F(AuditTest, each_planted_lie_is_found_where_it_is_told) {
  for (const PlantedLie& planted : lies()) {
    SimulatedRun run(folder, planted.lie);
    run.play(3);
    const AuditReport report = run.audit();
    EXPECT_TRUE(has_fault(report, planted.check, planted.ledger)) << planted.what << "\n"
                                                                  << all_faults(report);
    EXPECT_EQ(report.exit_code(), ExitCode::data) << planted.what;
  }
}

TEST_F(AuditTest, decision_written_after_the_act_is_found) {
  std::optional<Entry> held;
  SimulatedRun* running = nullptr;
  SimulatedRun run(folder, [&](SiteId party, Entry& entry) {
    if (party != SiteId{0}) return true;
    if (entry.key == "decision/header/1.0.0/coordinator/0") {
      held = entry;
      return false;
    }
    if (held && entry.key == "survivors/in/1.0.0/coordinator/site-0/0") {
      running->ledger(SiteId{0}).append(*held);
    }
    return true;
  });
  running = &run;
  run.play(2);
  EXPECT_TRUE(has_fault(run.audit(), "decision.before", "alba"));
}

TEST_F(AuditTest, rewritten_and_signed_again_ledger_contradicts_what_others_saw) {
  SimulatedRun run(folder);
  run.play(3);
  // The owner of the log key edits an early line and signs the new tree.
  std::string text = read_text(posix_files(), run.log_file(SiteId{1}));
  const std::string_view ranks = "\"num_ranks\":\"2\"";
  text.replace(text.find(ranks), ranks.size(), "\"num_ranks\":\"3\"");
  std::ofstream(run.log_file(SiteId{1}), std::ios::binary) << text;
  std::filesystem::remove(run.checkpoint_file(SiteId{1}));
  StillClock clock;
  const auto& key = run.key(SiteId{1});
  ledger::Ledger::open(posix_files(), run.log_file(SiteId{1}).parent_path(),
                       ledger::log_origin("brio", key.verify_key()), key, clock)
      .checkpoint();
  const AuditReport report = run.audit();
  EXPECT_TRUE(has_fault(report, "witness.root", "brio")) << all_faults(report);
  EXPECT_EQ(report.faults.size(), 1U) << "told once, at the range of lines: " << all_faults(report);
}

TEST_F(AuditTest, rolled_back_with_an_old_checkpoint_contradicts_what_others_saw) {
  SimulatedRun run(folder);
  run.play_until(0, ledger::CrossingKind::closed);
  run.sign_all();
  const auto keep_log = read_file(posix_files(), run.log_file(SiteId{2}));
  const auto keep_checkpoint = read_file(posix_files(), run.checkpoint_file(SiteId{2}));
  run.play_until(1, ledger::CrossingKind::closed);
  run.play_until(2, ledger::CrossingKind::closed);
  run.sign_all();
  write_atomically(posix_files(), run.log_file(SiteId{2}), keep_log);
  write_atomically(posix_files(), run.checkpoint_file(SiteId{2}), keep_checkpoint);
  const AuditReport report = run.audit();
  EXPECT_TRUE(has_fault(report, "witness.size", "cala")) << all_faults(report);
  EXPECT_TRUE(has_fault(report, "matching.sent", "hub")) << all_faults(report);
}

TEST_F(AuditTest, tampered_removed_and_swapped_lines_and_forged_checkpoint_are_found) {
  SimulatedRun run(folder);
  run.play(2);
  const auto path = run.log_file(SiteId{0});
  const std::string honest = read_text(posix_files(), path);
  const auto audit_with = [&](const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
    return run.audit();
  };
  std::string text = honest;
  text.replace(text.find("simulated"), 9, "SIMULATED");
  EXPECT_TRUE(has_fault(audit_with(text), "ledger.root", "alba"));
  const std::size_t first = honest.find('\n') + 1;
  const std::size_t second = honest.find('\n', first) + 1;
  EXPECT_TRUE(has_fault(audit_with(honest.substr(0, first) + honest.substr(second)), "ledger.index",
                        "alba"));
  EXPECT_TRUE(has_fault(audit_with(honest.substr(first, second - first) + honest.substr(0, first) +
                                   honest.substr(second)),
                        "ledger.index", "alba"));
  EXPECT_TRUE(audit_with(honest).verified());
  const auto& owner = run.key(SiteId{0});
  const std::string forged = ledger::sign_checkpoint(
      {ledger::log_origin("alba", owner.verify_key()), run.ledger(SiteId{0}).head()},
      run.key(SiteId{1}));
  write_atomically(posix_files(), run.checkpoint_file(SiteId{0}), as_bytes(forged));
  EXPECT_TRUE(has_fault(run.audit(), "ledger.checkpoint", "alba"));
}

TEST_F(AuditTest, signatures_of_another_key_than_the_rosters_are_found) {
  SimulatedRun run(folder);
  run.play(1);
  AuditInput input = run.input();
  for (AuditMember& member : input.roster) {
    if (member.id == SiteId{1}) member.verify_key = run.key(SiteId{1}).verify_key();
  }
  const AuditReport report = run_audit(posix_files(), input);
  EXPECT_TRUE(has_fault(report, "signature.cosign", "brio")) << all_faults(report);
  EXPECT_TRUE(has_fault(report, "signature.received", "hub")) << all_faults(report);
}

TEST_F(AuditTest, forged_signatures_of_a_site_without_a_ledger_are_found) {
  const std::string forged(128, '0');
  for (const char* kind : {"cosign", "received"}) {
    SimulatedRun run(folder,
                     change(coordinator_id, std::string(kind) + "/in/0.0.0/site-1/coordinator/0",
                            "signature", forged));
    run.play(1);
    const AuditReport report = run_audit(posix_files(), without(run.input(), SiteId{1}));
    EXPECT_TRUE(has_fault(report, "signature." + std::string(kind), "hub")) << all_faults(report);
    EXPECT_EQ(report.exit_code(), ExitCode::data);
    EXPECT_NE(report.verdict().find("NOT verified"), std::string::npos) << report.verdict();
    EXPECT_NE(report.verdict().find("brio's ledger was not given"), std::string::npos);
  }
}

TEST_F(AuditTest, parties_and_participants_outside_the_roster_are_found) {
  SimulatedRun run(folder);
  run.play(1);
  AuditInput input = without(run.input(), SiteId{2});
  std::erase_if(input.roster, [](const AuditMember& one) { return one.id == SiteId{2}; });
  AuditReport report = run_audit(posix_files(), input);
  EXPECT_TRUE(has_fault(report, "roster.party", "hub")) << all_faults(report);
  EXPECT_TRUE(has_fault(report, "roster.participants", "alba")) << all_faults(report);

  input = run.input();
  input.roster.push_back({SiteId{3}, "dora", run.key(SiteId{1}).verify_key()});
  report = run_audit(posix_files(), input);
  EXPECT_TRUE(report.faults.empty()) << all_faults(report);
  EXPECT_EQ(std::ranges::count(report.notes, "exchange 0.0.0 went without dora"), 1);
  EXPECT_EQ(report.not_given, std::vector<std::string>{"dora"});

  input = run.input();
  std::swap(input.parties[0].name, input.parties[1].name);
  report = run_audit(posix_files(), input);
  EXPECT_GT(report.checks.at("roster.given").failed, 0U);
}

TEST_F(AuditTest, swapped_folders_are_named_before_what_follows_from_them) {
  SimulatedRun run(folder);
  run.play(1);
  AuditInput input = run.input();
  std::swap(input.parties[0].ledger_folder, input.parties[1].ledger_folder);
  const AuditReport report = run_audit(posix_files(), input);
  ASSERT_GT(report.faults.size(), 2U) << all_faults(report);
  for (const std::size_t i : {0, 1}) {
    EXPECT_EQ(report.faults[i].check, "agreement.self") << all_faults(report);
    EXPECT_NE(report.faults[i].detail.find("folders that were given"), std::string::npos);
  }
}

TEST_F(AuditTest, audit_of_nothing_verifies_nothing) {
  EXPECT_FALSE(run_audit(posix_files(), {}).verified());
}

TEST_F(AuditTest, audit_without_every_ledger_says_that_it_is_partial) {
  SimulatedRun run(folder);
  run.play(1);
  const auto expect_partial = [](const AuditReport& report, const std::string& verdict) {
    EXPECT_FALSE(report.has_faults()) << all_faults(report);
    EXPECT_FALSE(report.verified());
    EXPECT_TRUE(report.partial());
    EXPECT_EQ(report.exit_code(), ExitCode::done);
    EXPECT_TRUE(report.verdict().starts_with(verdict)) << report.verdict();
    EXPECT_NE(report.text().find(verdict), std::string::npos);
  };
  AuditInput input = without(run.input(), SiteId{1});
  AuditReport report = run_audit(posix_files(), input);
  expect_partial(report, "verified in part: brio's ledger was not given; 3 ledgers");
  EXPECT_EQ(report.notes.size(), 1U);
  input = without(input, coordinator_id);
  report = run_audit(posix_files(), input);
  expect_partial(report, "verified in part: the ledgers of hub, brio were not given; 2 ledgers");
  EXPECT_EQ(report.not_given, (std::vector<std::string>{"hub", "brio"}));
  input = run.input();
  input.roster.clear();
  report = run_audit(posix_files(), input);
  expect_partial(report, "verified in part: no roster was given; 4 ledgers");
  EXPECT_FALSE(report.checks.contains("signature.cosign"));
}

}  // namespace
}  // namespace concordat::audit::testing
