#include <vector>

#include "ledger_fixture.hpp"

namespace concordat::ledger::testing {
namespace {

Crossing upload() {
  return {.kind = CrossingKind::header,
          .direction = Direction::out,
          .exchange = {Round{2}, {}, {}},
          .manifest = digest_from(Bytes(32, 1), "t"),
          .from = SiteId{1},
          .to = coordinator_id,
          .index = 0,
          .digest = digest_from(Bytes(32, 2), "t"),
          .message_bytes = 400,
          .frame_bytes = 5'000'000'000,
          .decision = "header/2.0.0/coordinator/0",
          .facts = upload_facts(digest_from(Bytes(32, 3), "t"), 7)};
}

TEST(Crossing, both_ends_write_the_same_but_direction_and_decision) {
  Crossing in = upload();
  in.direction = Direction::in;
  in.decision.clear();
  const Entry sent = crossing_entry(upload());
  const Entry taken = crossing_entry(in);
  EXPECT_EQ(sent.kind, "upload");
  EXPECT_EQ(sent.key, "upload/out/2.0.0/site-1/coordinator/0");
  EXPECT_EQ(taken.key, "upload/in/2.0.0/site-1/coordinator/0");
  EXPECT_EQ(sent.at("root"), taken.at("root"));
  EXPECT_EQ(taken.find("decision"), nullptr);
}

TEST(Crossing, reads_back_and_refuses_other_forms) {
  const Entry entry = crossing_entry(upload());
  const Crossing back = crossing_from(entry, "t");
  EXPECT_EQ(crossing_entry(back), entry);
  EXPECT_EQ(back.frame_bytes, 5'000'000'000U);
  EXPECT_EQ(back.facts, upload().facts);
  for (std::size_t i = 0; i < 10; ++i) {
    Entry cut = entry;
    cut.fields.erase(cut.fields.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_EQ(code_of([&] { crossing_from(cut, "t"); }), errors::malformed.name) << i;
    Entry odd = entry;
    odd.fields[i].second += "x";
    EXPECT_NE(code_of([&] { EXPECT_NE(crossing_entry(crossing_from(odd, "t")), entry); }),
              "ledger.conflict")
        << i;
  }
  Entry moved = entry;
  std::swap(moved.fields[0], moved.fields[1]);
  EXPECT_EQ(code_of([&] { crossing_from(moved, "t"); }), errors::malformed.name);
  Entry renamed = entry;
  renamed.key += "1";
  EXPECT_EQ(code_of([&] { crossing_from(renamed, "t"); }), errors::malformed.name);
  renamed = entry;
  renamed.kind = "gossip";
  EXPECT_EQ(code_of([&] { crossing_from(renamed, "t"); }), errors::malformed.name);
}

TEST(Crossing, sender_without_a_decision_is_a_bug) {
  Crossing crossing = upload();
  crossing.decision.clear();
  EXPECT_THROW(crossing_entry(crossing), Bug);
}

TEST(Crossing, lists_of_parties_are_sorted_and_strict) {
  const std::vector<SiteId> ids{SiteId{10}, SiteId{2}, coordinator_id};
  EXPECT_EQ(parties(ids), "site-2,site-10,coordinator");
  EXPECT_EQ(parties_from("site-2,site-10", "t"), (std::vector<SiteId>{SiteId{2}, SiteId{10}}));
  EXPECT_TRUE(parties_from("", "t").empty());
  EXPECT_THROW(parties_from("site-2,,site-3", "t"), Error);
}

TEST(Crossing, kinds_of_messages_are_known_and_others_are_not) {
  CrossingKind kind{};
  EXPECT_TRUE(is_crossing("upload", &kind));
  EXPECT_EQ(kind, CrossingKind::header);
  EXPECT_TRUE(is_crossing("closed"));
  EXPECT_FALSE(is_crossing("commit"));
  EXPECT_FALSE(is_crossing("header"));
}

}  // namespace
}  // namespace concordat::ledger::testing
