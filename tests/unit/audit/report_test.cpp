#include <nlohmann/json.hpp>

#include "audit_fixture.hpp"

namespace concordat::audit::testing {
namespace {

TEST_F(AuditTest, text_report_ends_with_the_verdict_and_names_what_is_assumed) {
  SimulatedRun run(folder);
  run.play(2);
  const std::string text = run.audit().text();
  EXPECT_NE(text.find("verified: 4 ledgers, 2 closed exchanges"), text.npos) << text;
  EXPECT_NE(text.find("Assumed, not checked"), text.npos);
  EXPECT_NE(text.find("upload"), text.npos);
  EXPECT_EQ(text.find("Failed checks"), text.npos);
}

TEST_F(AuditTest, failed_check_is_shown_with_file_and_line) {
  SimulatedRun run(folder, [](SiteId party, ledger::Entry& entry) {
    return party != SiteId{1} || entry.key != "commit/0.0.0";
  });
  run.play(1);
  const AuditReport report = run.audit();
  ASSERT_EQ(report.faults.size(), 1U) << all_faults(report);
  EXPECT_GT(report.faults[0].line, 0U);
  EXPECT_NE(report.text().find("log.jsonl:" + std::to_string(report.faults[0].line) +
                               ": commit.exists: "),
            std::string::npos)
      << report.text();
  EXPECT_NE(report.text().find("NOT verified: 1 of"), std::string::npos);
}

TEST_F(AuditTest, json_report_is_valid_and_complete) {
  SimulatedRun run(folder);
  run.play(2);
  const auto json = nlohmann::json::parse(run.audit().json());
  EXPECT_EQ(json.at("format"), "concordat-audit-1");
  EXPECT_EQ(json.at("verified"), true);
  EXPECT_EQ(json.at("partial"), false);
  EXPECT_EQ(json.at("ledgers").size(), 4U);
  EXPECT_EQ(json.at("ledgers")[1].at("out").at("upload").at("frame_bytes"), 32'000);
  EXPECT_EQ(json.at("exchanges").size(), 3U);
  EXPECT_EQ(json.at("final_state"), digest_of("state 2").hex());
  EXPECT_TRUE(json.at("faults").empty());
}

TEST_F(AuditTest, json_report_of_a_partial_audit_says_so) {
  SimulatedRun run(folder);
  run.play(1);
  AuditInput input = run.input();
  std::erase_if(input.parties, [](const AuditParty& one) { return one.id == SiteId{1}; });
  const auto json = nlohmann::json::parse(run_audit(posix_files(), input).json());
  EXPECT_EQ(json.at("verified"), false);
  EXPECT_EQ(json.at("partial"), true);
  EXPECT_EQ(json.at("not_given"), std::vector<std::string>{"brio"});
  EXPECT_TRUE(json.at("faults").empty());
}

TEST_F(AuditTest, bytes_that_are_no_text_do_not_break_the_reports) {
  SimulatedRun run(folder);
  run.play(1);
  std::string text = read_text(posix_files(), run.log_file(SiteId{0}));
  text[10] = '\xff';
  auto file = posix_files().open(run.log_file(SiteId{0}), OpenMode::truncate);
  file->write(as_bytes(text));
  const AuditReport report = run.audit();
  EXPECT_FALSE(report.verified());
  EXPECT_NO_THROW(nlohmann::json::parse(report.json()));
}

}  // namespace
}  // namespace concordat::audit::testing
