#include "concordat/ledger/ledger.hpp"

#include <thread>

#include "concordat/crypto/merkle.hpp"
#include "ledger_fixture.hpp"

namespace concordat::ledger::testing {
namespace {

TEST_F(LedgerTest, append_returns_places_in_order_and_reads_back) {
  Ledger ledger = open();
  EXPECT_EQ(ledger.head(), (Head{0, crypto::merkle_empty_root()}));
  EXPECT_EQ(ledger.append(note(0)), 0U);
  clock.now += 5;
  EXPECT_EQ(ledger.append(note(1, "two\nlines")), 1U);
  EXPECT_EQ(ledger.entry(1).entry, note(1, "two\nlines"));
  EXPECT_EQ(ledger.entry(1).unix_seconds, clock.now);
  EXPECT_EQ(ledger.find("state/1"), 1U);
  EXPECT_EQ(ledger.find("state/2"), std::nullopt);
  EXPECT_TRUE(ledger.recovery_notes().empty());
}

TEST_F(LedgerTest, same_key_and_content_is_found_again_and_writes_nothing) {
  Ledger ledger = open();
  ledger.append(note(0));
  const std::string before = log_text();
  clock.now += 100;
  EXPECT_EQ(ledger.append(note(0)), 0U);
  EXPECT_EQ(log_text(), before);
}

TEST_F(LedgerTest, restart_finds_its_own_entry) {
  open().append(note(0));
  const std::string before = log_text();
  clock.now += 100;
  Ledger again = open();
  EXPECT_EQ(again.head().size, 1U);
  EXPECT_EQ(again.append(note(0)), 0U);
  EXPECT_EQ(again.append(note(1)), 1U);
  EXPECT_EQ(log_text().substr(0, before.size()), before);
}

TEST_F(LedgerTest, a_clock_that_is_set_back_leaves_a_whole_log_in_the_order_of_its_entries) {
  {
    Ledger ledger = open();
    ledger.append(note(0));
    clock.now -= 86'400;
    EXPECT_EQ(ledger.append(note(1)), 1U);
    ledger.checkpoint();
  }
  clock.now -= 86'400;
  Ledger again = open();
  EXPECT_EQ(again.append(note(2)), 2U);
  EXPECT_EQ(again.append(note(0)), 0U) << "known, whatever the time";
  again.checkpoint();
  const LogReading log = read();
  EXPECT_TRUE(log.faults.empty());
  ASSERT_EQ(log.entries.size(), 3U);
  EXPECT_LT(log.entries[2].unix_seconds, log.entries[0].unix_seconds);
}

TEST_F(LedgerTest, same_key_with_other_content_is_a_conflict) {
  Ledger ledger = open();
  ledger.append(note(0, "one"));
  EXPECT_EQ(code_of([&] { ledger.append(note(0, "two")); }), errors::conflict.name);
  Entry other_kind = note(0, "one");
  other_kind.kind = "commit";
  EXPECT_EQ(code_of([&] { ledger.append(other_kind); }), errors::conflict.name);
  Ledger again = open();
  EXPECT_EQ(code_of([&] { again.append(note(0, "two")); }), errors::conflict.name);
  EXPECT_EQ(again.head().size, 1U);
}

TEST_F(LedgerTest, batch_is_all_or_nothing_on_conflict) {
  Ledger ledger = open();
  ledger.append(note(0));
  const std::vector<Entry> batch{note(1), note(0), note(2), note(1)};
  EXPECT_EQ(ledger.append(batch), (std::vector<std::uint64_t>{1, 0, 2, 1}));
  const std::string before = log_text();
  const std::vector<Entry> bad{note(3), note(0, "other")};
  EXPECT_EQ(code_of([&] { ledger.append(bad); }), errors::conflict.name);
  const std::vector<Entry> bad_inside{note(4), note(4, "other")};
  EXPECT_EQ(code_of([&] { ledger.append(bad_inside); }), errors::conflict.name);
  EXPECT_EQ(log_text(), before);
  EXPECT_EQ(ledger.append(note(3)), 3U);
}

TEST_F(LedgerTest, runs_have_keys_of_their_own_and_a_restart_finds_its_run_again) {
  const auto agreement = [](std::uint8_t byte) {
    AgreementFacts facts{};
    facts.agreement.bytes.fill(byte);
    return agreement_entry(facts);
  };
  Ledger ledger = open();
  ledger.append(note(0, "outside of runs"));
  ledger.append(agreement(0xaa));
  EXPECT_EQ(ledger.find("state/0"), std::nullopt);
  EXPECT_EQ(ledger.append(note(0, "run a")), 2U);
  ledger.append(agreement(0xbb));
  EXPECT_EQ(ledger.append(note(0, "run b")), 4U);
  Ledger again = open();
  EXPECT_EQ(again.find("state/0"), 0U);
  EXPECT_EQ(again.append(agreement(0xaa)), 1U);
  EXPECT_EQ(again.find("state/0"), 2U);
  EXPECT_EQ(again.append(note(0, "run a")), 2U);
  EXPECT_EQ(code_of([&] { again.append(note(0, "run b")); }), errors::conflict.name);
  EXPECT_EQ(again.entry(2).entry.key, "aaaaaaaaaaaaaaaa/state/0");
  EXPECT_EQ(scope_of(again.entry(2).entry.key), "aaaaaaaaaaaaaaaa/");
  EXPECT_EQ(scope_of("refusal/80761ccfa17cb92a"), "");
  again.checkpoint();
  EXPECT_TRUE(read().faults.empty());
}

TEST_F(LedgerTest, root_is_the_tree_over_the_lines) {
  fill(11);
  std::vector<Digest> leaves;
  std::string text = log_text();
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    leaves.push_back(
        crypto::merkle_leaf(as_bytes(std::string_view(text).substr(begin, end - begin))));
    begin = end + 1;
  }
  Ledger ledger = open();
  EXPECT_EQ(ledger.head(), (Head{11, crypto::merkle_root(leaves)}));
  EXPECT_EQ(ledger.root_at(4), crypto::merkle_root(std::span(leaves).first(4)));
}

TEST_F(LedgerTest, proofs_verify_for_every_entry_and_every_pair_of_sizes) {
  fill(13);
  Ledger ledger = open();
  const LogReading log = read();
  const Head head = ledger.head();
  for (std::uint64_t i = 0; i < head.size; ++i) {
    const std::string line = to_line(log.entries[i]);
    const auto path = ledger.inclusion_proof(i, head.size);
    EXPECT_TRUE(verify_entry(line, i, head, path)) << i;
    EXPECT_FALSE(verify_entry(line + " ", i, head, path)) << i;
    EXPECT_FALSE(verify_entry(line, (i + 1) % head.size, head, path)) << i;
  }
  for (std::uint64_t older = 1; older <= head.size; ++older) {
    for (std::uint64_t newer = older; newer <= head.size; ++newer) {
      auto path = ledger.consistency_proof(older, newer);
      const Head a{older, ledger.root_at(older)};
      const Head b{newer, ledger.root_at(newer)};
      EXPECT_TRUE(verify_growth(a, b, path)) << older << " " << newer;
      if (older != newer) {
        EXPECT_FALSE(verify_growth(b, a, path)) << older << " " << newer;
      }
      path.push_back(a.root);
      EXPECT_FALSE(verify_growth(a, b, path)) << older << " " << newer;
    }
  }
  EXPECT_FALSE(verify_growth({0, crypto::merkle_empty_root()}, head, {}));
}

TEST_F(LedgerTest, broken_preconditions_are_bugs) {
  fill(2);
  Ledger ledger = open();
  EXPECT_THROW(ledger.entry(2), Bug);
  EXPECT_THROW(ledger.inclusion_proof(2, 2), Bug);
  EXPECT_THROW(ledger.consistency_proof(0, 2), Bug);
  EXPECT_THROW(ledger.root_at(3), Bug);
  origin = "two words";
  EXPECT_THROW(open(), Bug);
}

TEST_F(LedgerTest, many_threads_append_without_loss) {
  Ledger ledger = open();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) ledger.append(note(t * 100 + i));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(ledger.head().size, 80U);
  ledger.checkpoint();
  EXPECT_TRUE(read().faults.empty());
}

}  // namespace
}  // namespace concordat::ledger::testing
