// Ledgers are read by auditors who trust nobody, and by writers who take entries from others.
#include "concordat/ledger/hand_over.hpp"

#include <algorithm>

#include "support/hostile.hpp"
#include "unit/ledger/ledger_fixture.hpp"

namespace concordat::ledger::testing {
namespace {

using testing_support::bytes_of;
using testing_support::expect_typed;

Entry crossing() {
  return crossing_entry({.kind = CrossingKind::received,
                         .direction = Direction::out,
                         .exchange = {Round{3}, {}, {}},
                         .from = SiteId{1},
                         .to = coordinator_id,
                         .message_bytes = 400,
                         .decision = "received/3.0.0/coordinator/0",
                         .facts = received_facts({}, 12, {})});
}
Entry ingest() {
  return ingest_entry({.dataset = "notes",
                       .language = "de",
                       .purpose = "a \"b\"\n",
                       .source = "s",
                       .shards = {{"train-0000.tok", {}}}});
}
Entry saved() { return checkpoint_entry("demo", "step-000004", 4, Round{1}, {}, {}); }
std::vector<Bytes> lines(std::string_view end = "") {
  std::vector<Bytes> seeds;
  for (const Entry& entry : {crossing(), ingest(), saved()}) {
    seeds.push_back(bytes_of(to_line({0, 0, entry}) + std::string(end)));
  }
  return seeds;
}

TEST(HostileBytes, LinesOfALedger) {
  expect_typed(lines(), [](ByteView bytes) {
    const std::string line = to_string(bytes);
    // One form: what is read is written again as it stood.
    EXPECT_EQ(to_line(from_line(line, "log.jsonl:1")), line);
  });
}

TEST(HostileBytes, CrossingsInALine) {
  expect_typed({lines().front()}, [](ByteView bytes) {
    crossing_from(from_line(to_string(bytes), "log.jsonl:1").entry, "log.jsonl:1");
  });
}

TEST(HostileBytes, EntriesThatAreHandedOver) {
  auto seeds = lines("\n");
  seeds.erase(seeds.begin());
  expect_typed(seeds,
               [](ByteView bytes) {
                 const Entry entry = handed_entry_from(to_string(bytes), "x.entry");
                 require_as_built(entry, "x.entry");
                 EXPECT_TRUE(entry.kind == kinds::ingest || entry.kind == kinds::checkpoint);
               },
               {.cases = 5000});
}

TEST(HostileBytes, AnswersOfAWriter) {
  const std::string name(64, 'a');
  const std::string begin = R"({"format": "concordat-answer-1", "entry": ")" + name + "\", ";
  expect_typed({bytes_of(begin + R"("index": 12, "found": false})"),
                bytes_of(begin + R"("refused": "ledger.conflict", "reason": "twice"})")},
               [&](ByteView bytes) { answer_from(to_string(bytes), name, "x.answer"); });
}

TEST(HostileBytes, CheckpointsOfALog) {
  const auto key = crypto::SigningKey::from_seed(Bytes(32, 7));
  const Bytes seed = bytes_of(sign_checkpoint({"concordat/alba/01020304", {12, {}}}, key));
  expect_typed({seed},
               [&](ByteView bytes) {
                 const Checkpoint found = open_checkpoint(
                     to_string(bytes), "concordat/alba/01020304", key.verify_key(), "checkpoint");
                 EXPECT_EQ(found.head.size, 12U) << "what is not signed was believed";
               },
               {.cases = 2000});
}

class HostileLog : public LedgerTest {};

// The auditor's reader never gives up: it says what is wrong with which line.
TEST_F(HostileLog, IsReadToItsEndAndItsFaultsAreNamed) {
  {
    Ledger ledger = open();
    ledger.append(ingest());
    ledger.append(crossing());
    for (int i = 0; i < 4; ++i) ledger.append(note(i));
    ledger.checkpoint();
  }
  const Bytes seed = bytes_of(log_text());
  const std::size_t honest_lines = 6;
  expect_typed({seed},
               [&](ByteView bytes) {
                 write_log(to_string(bytes));
                 const LogReading found = read();
                 EXPECT_LE(found.entries.size(), bytes.size() + 1);
                 if (found.faults.empty()) {
                   EXPECT_GE(found.entries.size(), honest_lines);
                   ASSERT_GE(bytes.size(), seed.size());
                   EXPECT_TRUE(std::ranges::equal(bytes.first(seed.size()), seed));
                 }
                 // The writer's own opening either refuses, or finds what was signed.
                 EXPECT_GE(open().head().size, honest_lines);
               },
               {.cases = 1200, .bytes_per_byte = 512});
}

}  // namespace
}  // namespace concordat::ledger::testing
