#include "concordat/governance/decide.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "concordat/core/clock.hpp"

namespace concordat::governance {
namespace {

using ledger::CrossingKind;

constexpr ExchangeId round_3{Round{3}, {}, {}};
const Digest manifest{{1, 2, 3}};
const Digest agreement{{4, 5, 6}};
const std::vector<SiteId> three{SiteId{0}, SiteId{1}, SiteId{2}};

PolicyContext context_of(SiteId self, Stage stage) {
  return {.self = self,
          .sites = three,
          .caps = {.num_rounds = 10,
                   .max_message_bytes = 1000,
                   .max_upload_bytes = 50'000,
                   .max_aggregate_bytes = 60'000},
          .exchange = {.id = round_3,
                       .stage = stage,
                       .agreement = agreement,
                       .manifest = stage == Stage::idle ? Digest{} : manifest,
                       .participants = stage == Stage::idle ? std::vector<SiteId>{} : three}};
}

Request request_of(CrossingKind kind, SiteId recipient) {
  const bool none = kind == CrossingKind::ready || kind == CrossingKind::manifest;
  return {.kind = kind,
          .exchange = round_3,
          .manifest = none ? agreement : manifest,
          .recipient = recipient,
          .bytes = 900};
}

std::string rule(const Request& request, const PolicyContext& context) {
  return decide(request, context).rule;
}

struct Row {
  CrossingKind kind;
  bool from_site;
  Stage first;
};
constexpr Row entailed[] = {{CrossingKind::ready, true, Stage::idle},
                            {CrossingKind::manifest, false, Stage::manifest_known},
                            {CrossingKind::cosign, true, Stage::manifest_known},
                            {CrossingKind::go, false, Stage::all_cosigned},
                            {CrossingKind::header, true, Stage::committed},
                            {CrossingKind::survivors, false, Stage::survivors_known},
                            {CrossingKind::agree, true, Stage::survivors_known},
                            {CrossingKind::aggregate, false, Stage::aggregate_known},
                            {CrossingKind::received, true, Stage::aggregate_known},
                            {CrossingKind::closed, false, Stage::all_received}};

// Every kind, from every party to every party, at every stage, held against the table above.
TEST(Decide, permits_exactly_what_the_protocol_entails) {
  const std::vector<SiteId> parties{SiteId{0}, SiteId{1}, SiteId{2}, SiteId{3}, coordinator_id};
  int permitted = 0;
  for (unsigned number = 0; number < 24; ++number) {
    const auto kind = static_cast<CrossingKind>(number);
    for (const SiteId self : parties) {
      for (const SiteId recipient : parties) {
        for (int s = 0; s <= static_cast<int>(Stage::closed); ++s) {
          const auto stage = static_cast<Stage>(s);
          bool expected = false;
          for (const Row& row : entailed) {
            const bool direction = row.from_site ? self.value() < 3 && recipient == coordinator_id
                                                 : self == coordinator_id && recipient.value() < 3;
            if (row.kind == kind) {
              expected = direction && stage >= row.first && stage != Stage::closed;
            }
          }
          const auto decision = decide(request_of(kind, recipient), context_of(self, stage));
          EXPECT_EQ(decision.permitted, expected)
              << ledger::name_of(kind) << " " << ledger::party(self) << " "
              << ledger::party(recipient) << " " << name_of(stage) << ": " << decision.reason;
          permitted += decision.permitted ? 1 : 0;
        }
      }
    }
  }
  EXPECT_EQ(permitted, 3 * (7 + 6 + 6 + 5 + 4 + 3 + 3 + 2 + 2 + 1));
}

TEST(Decide, refusals_name_their_rule) {
  const SiteId site{0};
  const auto context = context_of(site, Stage::committed);
  const Request good = request_of(CrossingKind::header, coordinator_id);
  EXPECT_EQ(rule(good, context), "entailed");

  Request request = good;
  request.kind = CrossingKind::unmask;
  EXPECT_EQ(rule(request, context), "not_part_of_recovery_none");
  request = good;
  request.recipient = SiteId{1};
  EXPECT_EQ(rule(request, context), "wrong_direction");
  request.recipient = SiteId{9};
  EXPECT_EQ(rule(request, context), "not_a_member");
  request = good;
  request.exchange.round = Round{4};
  EXPECT_EQ(rule(request, context), "wrong_exchange");
  request = good;
  request.exchange.attempt = Attempt{1};
  EXPECT_EQ(rule(request, context), "wrong_exchange");
  request = good;
  request.manifest.bytes[31] = 1;
  EXPECT_EQ(rule(request, context), "wrong_manifest");
  request.manifest = {};
  EXPECT_EQ(rule(request, context), "wrong_manifest");
  request = good;
  request.bytes = 50'001;
  EXPECT_EQ(rule(request, context), "too_large");
  EXPECT_EQ(rule(good, context_of(site, Stage::all_cosigned)), "too_early");
  EXPECT_EQ(rule(good, context_of(site, Stage::closed)), "exchange_closed");
}

TEST(Decide, zero_manifest_is_never_a_locked_one) {
  auto context = context_of(SiteId{0}, Stage::committed);
  context.exchange.manifest = {};
  Request request = request_of(CrossingKind::header, coordinator_id);
  request.manifest = {};
  EXPECT_EQ(rule(request, context), "wrong_manifest");
}

TEST(Decide, ready_of_another_run_is_not_entailed) {
  const auto context = context_of(SiteId{0}, Stage::idle);
  Request request = request_of(CrossingKind::ready, coordinator_id);
  EXPECT_EQ(rule(request, context), "entailed");
  for (const Digest& other : {Digest{}, manifest}) {
    request.manifest = other;
    EXPECT_EQ(rule(request, context), "wrong_manifest");
  }
  auto unknown = context;
  unknown.exchange.agreement = {};
  request.manifest = {};
  EXPECT_EQ(rule(request, unknown), "wrong_manifest") << "a run without an agreement";
}

TEST(Decide, only_participants_of_the_manifest_take_part) {
  auto context = context_of(coordinator_id, Stage::aggregate_known);
  context.exchange.participants = {SiteId{0}, SiteId{2}};
  EXPECT_EQ(rule(request_of(CrossingKind::aggregate, SiteId{2}), context), "entailed");
  EXPECT_EQ(rule(request_of(CrossingKind::aggregate, SiteId{1}), context), "not_a_participant");
  auto site = context_of(SiteId{1}, Stage::committed);
  site.exchange.participants = {SiteId{0}, SiteId{2}};
  EXPECT_EQ(rule(request_of(CrossingKind::header, coordinator_id), site), "not_a_participant");
}

// What a closed exchange owes to a site that it went without, and to nobody else.
TEST(Decide, record_of_an_exchange_goes_to_the_sites_that_it_went_without) {
  auto context = context_of(coordinator_id, Stage::all_received);
  context.exchange.participants = {SiteId{0}, SiteId{2}};
  for (const CrossingKind kind : {CrossingKind::manifest, CrossingKind::go, CrossingKind::survivors,
                                  CrossingKind::aggregate, CrossingKind::closed}) {
    EXPECT_EQ(rule(request_of(kind, SiteId{1}), context), "catching_up");
    EXPECT_EQ(rule(request_of(kind, SiteId{2}), context), "entailed");
    EXPECT_EQ(rule(request_of(kind, SiteId{9}), context), "not_a_member");
    auto early = context_of(coordinator_id, Stage::aggregate_known);
    early.exchange.participants = context.exchange.participants;
    const std::string before = rule(request_of(kind, SiteId{1}), early);
    EXPECT_TRUE(before == "not_a_participant" || before == "too_early") << before;
    Request other = request_of(kind, SiteId{1});
    other.manifest.bytes[0] ^= 1U;
    EXPECT_EQ(rule(other, context), "wrong_manifest");
  }
  auto site = context_of(SiteId{1}, Stage::manifest_known);
  site.exchange.participants = context.exchange.participants;
  EXPECT_EQ(rule(request_of(CrossingKind::cosign, coordinator_id), site), "not_a_participant");
}

TEST(Decide, last_round_is_followed_by_one_ready_and_nothing_else) {
  auto context = context_of(SiteId{0}, Stage::idle);
  context.exchange.id.round = Round{10};
  Request request = request_of(CrossingKind::ready, coordinator_id);
  request.exchange = context.exchange.id;
  EXPECT_EQ(rule(request, context), "entailed");
  request = request_of(CrossingKind::cosign, coordinator_id);
  request.exchange = context.exchange.id;
  EXPECT_EQ(rule(request, context), "wrong_exchange");
  context.exchange.id.round = Round{11};
  request = request_of(CrossingKind::ready, coordinator_id);
  request.exchange = context.exchange.id;
  EXPECT_EQ(rule(request, context), "wrong_exchange");
}

TEST(Decide, byte_bound_is_the_cap_of_the_kind_and_the_same_after_a_restart) {
  const auto site = context_of(SiteId{0}, Stage::committed);
  const auto hub = context_of(coordinator_id, Stage::aggregate_known);
  EXPECT_EQ(decide(request_of(CrossingKind::header, coordinator_id), site).max_bytes, 50'000U);
  EXPECT_EQ(decide(request_of(CrossingKind::aggregate, SiteId{0}), hub).max_bytes, 60'000U);
  Request smaller = request_of(CrossingKind::cosign, coordinator_id);
  const auto first = decide(smaller, site);
  EXPECT_EQ(first.max_bytes, 1000U);
  smaller.bytes = 10;
  EXPECT_EQ(decide(smaller, site), first);
}

TEST(Decide, refusal_is_in_the_ledger_and_ends_with_77) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("concordat-decide-" + std::to_string(::getpid()));
  std::filesystem::remove_all(folder);
  const auto key = crypto::SigningKey::from_seed(Bytes(32, 1));
  auto ledger = ledger::Ledger::open(posix_files(), folder, "test/log", key, system_clock());
  auto written = permit(ledger, request_of(CrossingKind::cosign, coordinator_id),
                        context_of(SiteId{0}, Stage::manifest_known));
  EXPECT_EQ(written.value().kind, CrossingKind::cosign);
  try {
    permit(ledger, request_of(CrossingKind::header, coordinator_id),
           context_of(SiteId{0}, Stage::manifest_known));
    ADD_FAILURE() << "an upload before the commit was permitted";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), ExitCode::refused);
  }
  EXPECT_EQ(ledger.entry(1).entry.kind, ledger::kinds::refusal);
  EXPECT_EQ(ledger.entry(1).entry.at("rule"), "too_early");
  std::filesystem::remove_all(folder);
}

PolicyContext donor_of(std::vector<SiteId> recipients) {
  PolicyContext context = context_of(SiteId{0}, Stage::idle);
  context.caps.max_state_bytes = 5000;
  context.caps.max_state_messages = 13;
  context.donation = {
      .recipients = std::move(recipients), .exchange = {Round{2}, {}, {}}, .manifest = manifest};
  return context;
}

Request state_to(SiteId recipient) {
  return {.kind = CrossingKind::state_blocks,
          .exchange = {Round{2}, {}, {}},
          .manifest = manifest,
          .recipient = recipient,
          .bytes = 4900,
          .index = 12};
}

TEST(Decide, ASiteGivesItsStateToNobodyUnlessItsConfigurationSaysSo) {
  EXPECT_EQ(rule(state_to(SiteId{2}), context_of(SiteId{0}, Stage::idle)), "not_a_recipient");
  EXPECT_EQ(rule(state_to(SiteId{2}), donor_of({})), "not_a_recipient");
  EXPECT_EQ(rule(state_to(SiteId{2}), donor_of({SiteId{1}})), "not_a_recipient");
  EXPECT_EQ(rule(state_to(SiteId{2}), donor_of({SiteId{2}})), "donated");
  EXPECT_EQ(rule(state_to(SiteId{7}), donor_of({SiteId{7}})), "not_a_member");
  EXPECT_EQ(rule(state_to(SiteId{0}), donor_of({SiteId{0}})), "wrong_direction");
  EXPECT_EQ(rule(state_to(coordinator_id), donor_of({coordinator_id})), "wrong_direction");
}

TEST(Decide, AStateIsOfTheExchangeThatIsGivenAndNoLargerThanItIs) {
  const PolicyContext context = donor_of({SiteId{2}});
  Request request = state_to(SiteId{2});
  request.exchange = round_3;
  EXPECT_EQ(rule(request, context), "wrong_exchange");
  request = state_to(SiteId{2});
  request.manifest = agreement;
  EXPECT_EQ(rule(request, context), "wrong_manifest");
  request = state_to(SiteId{2});
  request.bytes = 5001;
  EXPECT_EQ(rule(request, context), "too_large");
  request = state_to(SiteId{2});
  request.index = 13;
  EXPECT_EQ(rule(request, context), "too_large");
  // The serial above the position counts donations, not messages.
  request.index = 3U << state_position_bits | 12;
  EXPECT_EQ(rule(request, context), "donated");
}

TEST(Decide, TheCoordinatorPassesOnTheStateOfAClosedExchangeAlone) {
  PolicyContext context = context_of(coordinator_id, Stage::manifest_known);
  context.caps.max_state_bytes = 5000;
  context.caps.max_state_messages = 13;
  EXPECT_EQ(rule(state_to(SiteId{2}), context), "wrong_exchange") << "it closed none";
  context.donation = {.recipients = {}, .exchange = {Round{2}, {}, {}}, .manifest = manifest};
  EXPECT_EQ(rule(state_to(SiteId{2}), context), "passed_on");
  Request other = state_to(SiteId{2});
  other.manifest = agreement;
  EXPECT_EQ(rule(other, context), "wrong_manifest");
  Request open = state_to(SiteId{2});
  open.exchange = round_3;
  EXPECT_EQ(rule(open, context), "wrong_exchange");
  PolicyContext unfinished = context;
  unfinished.donation.exchange = round_3;
  EXPECT_EQ(rule(open, unfinished), "wrong_exchange");
  Request none = state_to(SiteId{2});
  none.manifest = Digest{};
  EXPECT_EQ(rule(none, context), "wrong_manifest");
  EXPECT_EQ(rule(state_to(coordinator_id), context), "wrong_direction");
  Request large = state_to(SiteId{2});
  large.bytes = 5001;
  EXPECT_EQ(rule(large, context), "too_large");
}

}  // namespace
}  // namespace concordat::governance
