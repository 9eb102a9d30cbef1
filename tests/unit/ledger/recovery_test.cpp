// Opening after crashes and after somebody changed the files.
#include "concordat/ledger/ledger.hpp"
#include "ledger_fixture.hpp"

namespace concordat::ledger::testing {
namespace {

TEST_F(LedgerTest, torn_last_line_is_cut_and_said) {
  fill(3);
  const std::string whole = log_text();
  const std::string fourth = to_line({3, 1, note(3)}) + "\n";
  for (std::size_t kept = 1; kept < fourth.size(); ++kept) {
    write_log(whole + fourth.substr(0, kept));
    Ledger ledger = open();
    ASSERT_EQ(ledger.head().size, 3U) << kept;
    ASSERT_EQ(ledger.recovery_notes().size(), 1U) << kept;
    EXPECT_NE(ledger.recovery_notes()[0].find("cut " + std::to_string(kept) + " bytes"),
              std::string::npos)
        << ledger.recovery_notes()[0];
    EXPECT_EQ(log_text(), whole) << kept;
  }
  Ledger ledger = open();
  EXPECT_EQ(ledger.append(note(3)), 3U);
}

TEST_F(LedgerTest, pages_that_never_reached_the_disk_are_cut) {
  fill(2);
  const std::string whole = log_text();
  // Two lines of one unsynced batch: the first page came out as zeros, the second is there.
  write_log(whole + std::string(100, '\0') + "tail\"}}\n" + to_line({3, 1, note(3)}) + "\n");
  Ledger ledger = open();
  EXPECT_EQ(ledger.head().size, 2U);
  EXPECT_EQ(ledger.recovery_notes().size(), 1U);
  EXPECT_EQ(log_text(), whole);
}

// The disk is full at each write and sync in turn: nothing acknowledged is lost, nothing torn
// stays.
TEST_F(LedgerTest, failed_append_breaks_the_object_and_reopening_repairs) {
  for (std::uint64_t change = 1;; ++change) {
    std::filesystem::remove_all(folder);
    Ledger ledger = open();
    ledger.append(note(0));
    files.fail_at(change);
    const std::string first = code_of([&] { ledger.append(note(1)); });
    const std::string second = code_of([&] { ledger.checkpoint(); });
    files.heal();
    if (first != "none") {
      EXPECT_EQ(code_of([&] { ledger.append(note(2)); }), errors::broken.name) << change;
      EXPECT_EQ(code_of([&] { ledger.append(note(0)); }), errors::broken.name) << change;
    }
    Ledger again = open();
    EXPECT_EQ(again.append(note(0)), 0U) << change;
    EXPECT_EQ(again.append(note(1)), 1U) << change;
    EXPECT_EQ(again.append(note(2)), 2U) << change;
    again.checkpoint();
    EXPECT_TRUE(read().faults.empty()) << change;
    if (second == "none") break;
    ASSERT_LT(change, 100U);
  }
}

TEST_F(LedgerTest, log_shorter_than_its_checkpoint_is_refused) {
  fill(3);
  const std::string text = log_text();
  const std::string shorter = text.substr(0, text.find('\n') + 1);
  write_log(shorter);
  EXPECT_EQ(code_of([&] { open(); }), errors::rolled_back.name);
  write_log(text.substr(0, text.size() - 1));
  EXPECT_EQ(code_of([&] { open(); }), errors::rolled_back.name);
  EXPECT_EQ(log_text(), text.substr(0, text.size() - 1)) << "nothing is cut before the check";
}

TEST_F(LedgerTest, changed_line_under_a_checkpoint_is_refused) {
  fill(3);
  std::string text = log_text();
  text.replace(text.find("value"), 5, "VALUE");
  write_log(text);
  EXPECT_EQ(code_of([&] { open(); }), errors::rolled_back.name);
}

TEST_F(LedgerTest, whole_line_that_is_no_entry_is_refused_not_cut) {
  fill(2);
  const std::string text = log_text();
  write_log(text + "{\"index\":2}\n");
  EXPECT_EQ(code_of([&] { open(); }), errors::malformed.name);
  write_log(text + to_line({5, 1, note(5)}) + "\n");
  EXPECT_EQ(code_of([&] { open(); }), errors::malformed.name);
  write_log(text + to_line({2, 1, note(1)}) + "\n");
  EXPECT_EQ(code_of([&] { open(); }), errors::malformed.name);
}

TEST_F(LedgerTest, line_longer_than_an_entry_is_refused_in_bounded_memory) {
  fill(1);
  write_log(log_text() + std::string(5U << 20U, 'x') + "\n");
  EXPECT_EQ(code_of([&] { open(); }), errors::malformed.name);
  EXPECT_EQ(read().faults.size(), 1U);
}

TEST_F(LedgerTest, checkpoint_of_another_key_or_log_is_refused) {
  fill(1);
  EXPECT_EQ(code_of([&] { Ledger::open(posix_files(), folder, origin, other_key, clock); }),
            errors::bad_checkpoint.name);
  EXPECT_EQ(code_of([&] { Ledger::open(posix_files(), folder, "other/log", key, clock); }),
            errors::bad_checkpoint.name);
}

TEST_F(LedgerTest, log_without_a_checkpoint_opens_and_says_so) {
  open().append(note(0));
  Ledger ledger = open();
  EXPECT_EQ(ledger.head().size, 1U);
  ASSERT_EQ(ledger.recovery_notes().size(), 1U);
  EXPECT_NE(ledger.recovery_notes()[0].find("no checkpoint"), std::string::npos);
}

}  // namespace
}  // namespace concordat::ledger::testing
