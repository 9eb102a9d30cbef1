// Reading with the public key alone: every planted lie is found, and where.
#include <algorithm>
#include <vector>

#include "ledger_fixture.hpp"

namespace concordat::ledger::testing {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    lines.push_back(text.substr(begin, end - begin + 1));
    begin = end + 1;
  }
  return lines;
}

std::string join(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line;
  return text;
}

bool has(const LogReading& log, std::string_view check, std::uint64_t line) {
  return std::any_of(log.faults.begin(), log.faults.end(),
                     [&](const Fault& f) { return f.check == check && f.line == line; });
}

TEST_F(LedgerTest, honest_log_reads_without_faults) {
  fill(9);
  const LogReading log = read();
  EXPECT_TRUE(log.faults.empty());
  EXPECT_EQ(log.entries.size(), 9U);
  EXPECT_EQ(log.entries[4].entry, note(4));
  EXPECT_TRUE(log.covered_by_checkpoint(8));
  EXPECT_FALSE(log.covered_by_checkpoint(9));
}

TEST_F(LedgerTest, tampered_line_breaks_the_signed_root) {
  fill(9);
  auto lines = lines_of(log_text());
  lines[4].replace(lines[4].find("value"), 5, "VALUE");
  write_log(join(lines));
  EXPECT_TRUE(has(read(), "ledger.root", 0));
  lines[4].replace(lines[4].find("VALUE"), 5, "VA\\UE");
  write_log(join(lines));
  EXPECT_TRUE(has(read(), "ledger.line", 5));
}

TEST_F(LedgerTest, every_flipped_bit_is_found) {
  fill(3);
  const std::string text = log_text();
  for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    write_log(flipped);
    EXPECT_FALSE(read().faults.empty()) << bit;
  }
}

TEST_F(LedgerTest, removed_line_is_found_at_its_place) {
  fill(9);
  auto lines = lines_of(log_text());
  lines.erase(lines.begin() + 4);
  write_log(join(lines));
  const LogReading log = read();
  EXPECT_TRUE(has(log, "ledger.index", 5));
  EXPECT_TRUE(has(log, "ledger.rolled_back", 9));
}

TEST_F(LedgerTest, swapped_lines_are_found_at_their_places) {
  fill(9);
  auto lines = lines_of(log_text());
  std::swap(lines[2], lines[6]);
  write_log(join(lines));
  const LogReading log = read();
  EXPECT_TRUE(has(log, "ledger.index", 3));
  EXPECT_TRUE(has(log, "ledger.index", 7));
  EXPECT_TRUE(has(log, "ledger.root", 0));
}

TEST_F(LedgerTest, doubled_line_is_found) {
  fill(4);
  auto lines = lines_of(log_text());
  lines.push_back(lines.back());
  write_log(join(lines));
  const LogReading log = read();
  EXPECT_TRUE(has(log, "ledger.index", 5));
  EXPECT_TRUE(has(log, "ledger.duplicate_key", 5));
}

TEST_F(LedgerTest, rolled_back_log_is_found) {
  fill(9);
  auto lines = lines_of(log_text());
  lines.resize(5);
  write_log(join(lines));
  EXPECT_TRUE(has(read(), "ledger.rolled_back", 6));
}

TEST_F(LedgerTest, torn_tail_is_a_fault_only_under_the_checkpoint) {
  fill(3);
  const std::string text = log_text();
  write_log(text + "{\"index\":3");
  EXPECT_TRUE(read().faults.empty());
  write_log(text.substr(0, text.size() - 5));
  EXPECT_TRUE(has(read(), "ledger.rolled_back", 3));
}

TEST_F(LedgerTest, forged_checkpoint_is_found) {
  fill(3);
  const LogReading honest = read();
  const std::string forged = sign_checkpoint({origin, {3, *honest.root_at(3)}}, other_key);
  write_atomically(posix_files(), folder / "checkpoint", as_bytes(forged));
  const LogReading log = read();
  EXPECT_TRUE(has(log, "ledger.checkpoint", 0));
  EXPECT_FALSE(log.checkpoint.has_value());
}

TEST_F(LedgerTest, missing_files_are_faults) {
  const LogReading nothing = read();
  EXPECT_TRUE(has(nothing, "ledger.missing", 0));
  EXPECT_TRUE(has(nothing, "ledger.checkpoint", 0));
}

TEST_F(LedgerTest, reading_changes_nothing_on_disk) {
  fill(3);
  write_log(log_text() + "{\"ind");
  const std::string before = log_text();
  read();
  EXPECT_EQ(log_text(), before);
}

}  // namespace
}  // namespace concordat::ledger::testing
