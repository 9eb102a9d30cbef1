// The worked example of docs/formats/ledger.md, written again and compared with the page.
#include <fstream>
#include <sstream>

#include "concordat/crypto/merkle.hpp"
#include "ledger_fixture.hpp"

namespace concordat::ledger::testing {
namespace {

TEST_F(LedgerTest, documented_example_is_true) {
  std::ifstream in(std::string(CONCORDAT_SOURCE_DIR) + "/docs/formats/ledger.md");
  std::ostringstream page;
  page << in.rdbuf();
  const std::string text = page.str();
  origin = log_origin("alba", key.verify_key());
  clock.now = 1'760'000'000;
  Ledger ledger = open();
  Digest state;
  state.bytes.fill(0xab);
  ledger.append(state_entry(Round{0}, state, "step-000000"));
  ledger.append(refusal_entry("a \"quoted\" subject", "too_early", "line one\nline two"));
  EXPECT_NE(text.find("```\n" + ledger.checkpoint() + "```"), text.npos);
  EXPECT_NE(text.find("```\n" + log_text() + "```"), text.npos);
  EXPECT_NE(text.find(note_verifier_key(origin, key.verify_key())), text.npos);
  for (const Digest& leaf : read().leaves) EXPECT_NE(text.find(leaf.hex()), text.npos);
  EXPECT_NE(text.find(ledger.head().root.hex()), text.npos);
}

}  // namespace
}  // namespace concordat::ledger::testing
