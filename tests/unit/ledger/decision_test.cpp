#include "concordat/ledger/decision.hpp"

#include <type_traits>

#include "ledger_fixture.hpp"

namespace concordat::ledger::testing {
namespace {

static_assert(!std::is_copy_constructible_v<Written<Decision>>);
static_assert(!std::is_copy_assignable_v<Written<Decision>>);
static_assert(!std::is_default_constructible_v<Written<Decision>>);
static_assert(!std::is_constructible_v<Written<Decision>, Decision, std::uint64_t>);
static_assert(std::is_nothrow_move_constructible_v<Written<Decision>>);

Decision cosign() {
  const ExchangeId exchange{Round{3}, {}, {}};
  return {.kind = CrossingKind::cosign,
          .exchange = exchange,
          .manifest = {},
          .recipient = coordinator_id,
          .max_bytes = 1000,
          .id = decision_id(CrossingKind::cosign, exchange, coordinator_id),
          .permitted = true,
          .rule = "entailed",
          .reason = "test"};
}

TEST(Decision, id_names_the_object_and_nothing_else) {
  EXPECT_EQ(cosign().id, "cosign/3.0.0/coordinator/0");
  EXPECT_EQ(decision_id(CrossingKind::header, {Round{1}, Fragment{2}, Attempt{3}}, SiteId{4}, 5),
            "header/1.2.3/site-4/5");
}

TEST(Decision, parties_have_one_spelling) {
  EXPECT_EQ(party_from("coordinator", "t"), coordinator_id);
  EXPECT_EQ(party_from("site-12", "t"), SiteId{12});
  for (const char* bad : {"", "site-", "site-01", "site--1", "site-4294967295", "Site-1", "1"}) {
    EXPECT_EQ(code_of([&] { party_from(bad, "t"); }), errors::malformed.name) << bad;
  }
}

TEST_F(LedgerTest, written_decision_is_durable_and_used_once) {
  Ledger ledger = open();
  Written<Decision> written = ledger.write(cosign());
  EXPECT_EQ(ledger.entry(written.index()).entry, decision_entry(cosign()));
  EXPECT_EQ(written.value(), cosign());
  Written<Decision> moved = std::move(written);
  EXPECT_THROW(written.value(), Bug);  // NOLINT(bugprone-use-after-move): the point of the test
  EXPECT_EQ(std::move(moved).take(), cosign());
  EXPECT_THROW(moved.value(), Bug);  // NOLINT(bugprone-use-after-move)
  EXPECT_THROW(std::move(moved).take(), Bug);
}

TEST_F(LedgerTest, restart_gets_its_decision_again_without_a_second_entry) {
  const std::uint64_t first = open().write(cosign()).index();
  Ledger again = open();
  EXPECT_EQ(again.write(cosign()).index(), first);
  EXPECT_EQ(again.head().size, 1U);
  Decision larger = cosign();
  larger.max_bytes = 2000;
  EXPECT_EQ(code_of([&] { again.write(larger); }), errors::conflict.name);
}

TEST_F(LedgerTest, refusal_is_recorded_then_thrown_with_exit_77) {
  Ledger ledger = open();
  Decision refused = cosign();
  refused.permitted = false;
  refused.rule = "too_early";
  refused.reason = "the exchange is idle";
  try {
    ledger.write(refused);
    FAIL() << "a refused decision was written";
  } catch (const Error& error) {
    EXPECT_EQ(error.code().name, errors::refused.name);
    EXPECT_EQ(error.exit_code(), ExitCode::refused);
  }
  EXPECT_EQ(ledger.entry(0).entry.kind, kinds::refusal);
  EXPECT_EQ(ledger.entry(0).entry.at("rule"), "too_early");
  EXPECT_NO_THROW(ledger.write(cosign())) << "what was refused may be entailed later";
  EXPECT_THROW(ledger.write(refused), Error);
  EXPECT_EQ(ledger.head().size, 2U) << "the same refusal is one entry";
}

TEST_F(LedgerTest, batch_of_decisions_records_all_before_it_refuses) {
  Ledger ledger = open();
  Decision other = cosign();
  other.recipient = SiteId{1};
  other.id = decision_id(other.kind, other.exchange, other.recipient);
  const std::vector<Decision> both{cosign(), other};
  EXPECT_EQ(ledger.write(both).size(), 2U);
  Decision refused = other;
  refused.permitted = false;
  const std::vector<Decision> mixed{refused, cosign()};
  EXPECT_EQ(code_of([&] { ledger.write(mixed); }), errors::refused.name);
  EXPECT_EQ(ledger.head().size, 3U);
}

}  // namespace
}  // namespace concordat::ledger::testing
