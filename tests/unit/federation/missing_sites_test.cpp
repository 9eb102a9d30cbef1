// A round goes on without a site after the deadline; the site takes its record, checked like by a
// participant, and takes part again.
#include <gtest/gtest.h>

#include "unit/federation/lies.hpp"

namespace concordat::federation::test {
namespace {

const std::vector<SiteId> first_three{SiteId{0}, SiteId{1}, SiteId{2}};
constexpr std::uint32_t late = 3;

TEST(MissingSites, AfterTheDeadlineTheManifestNamesThoseWhoAreReady) {
  World world(4, 1, false);
  world.absent = {late};
  world.run();
  ASSERT_TRUE(world.all_closed());
  EXPECT_EQ(world.hub->manifest().sites(), first_three);
  EXPECT_EQ(world.hub->manifest().threshold, 3U);
  EXPECT_EQ(world.hub->missed(), std::vector<SiteId>{SiteId{late}});
  EXPECT_EQ(world.hub->closing().survivors(), first_three);
  EXPECT_FALSE(world.sites[0].missed());
  EXPECT_TRUE(world.sites[late].missed());
  for (const SiteExchange& site : world.sites) {
    EXPECT_EQ(site.closing(), world.hub->closing());
    EXPECT_EQ(site.chain(), world.hub->chain());
  }
  EXPECT_EQ(world.hub->chain().heads[late].size, 0U) << "it has shown no ledger yet";
  world.check_replays();
}

TEST(MissingSites, EveryOrderOfMessagesAndDeadlinesEndsInOneClosing) {
  int too_late = 0;
  std::size_t left_out = 0;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    // Of six a round needs four: one that is there may be too late.
    const auto num_sites = static_cast<std::uint32_t>(4 + seed % 3);
    World world(num_sites, seed, true);
    world.absent = {static_cast<std::uint32_t>(seed % num_sites)};
    world.run();
    ASSERT_TRUE(world.all_closed()) << "seed " << seed;
    world.check_replays();
    for (std::uint32_t i = 0; i < num_sites; ++i) {
      const SiteExchange& site = world.sites[i];
      EXPECT_EQ(site.closing(), world.hub->closing()) << "seed " << seed;
      EXPECT_EQ(site.chain(), world.hub->chain()) << "seed " << seed;
      const auto missed = world.hub->missed();
      EXPECT_EQ(site.missed(), std::ranges::binary_search(missed, SiteId{i})) << "seed " << seed;
    }
    EXPECT_TRUE(std::ranges::binary_search(world.hub->missed(), SiteId{*world.absent.begin()}));
    too_late += world.too_late;
    left_out += world.hub->missed().size() - 1;
  }
  EXPECT_GT(left_out, 0U) << "no deadline fell before the last ready";
  EXPECT_GT(too_late, 0) << "no ready came after a manifest";
}

TEST(MissingSites, ASiteThatMissedTwoRoundsTakesPartInTheNext) {
  World world(4, 3, true);
  world.agreement.agreement.rounds = 4;
  for (std::uint32_t round = 0; round < 3; ++round) {
    if (round > 0) world.begin(Round{round}, world.hub->chain());
    world.absent.clear();
    if (round < 2) world.absent = {late};
    world.run();
    ASSERT_TRUE(world.all_closed()) << round;
  }
  EXPECT_EQ(world.hub->closing().survivors().size(), 4U);
  EXPECT_EQ(world.hub->chain().heads[late].size, 3U);
}

TEST(MissingSites, ADeadlineChangesNothingTooEarlyTooLateOrTwice) {
  World world(4, 1, false);
  const auto no_effect = [&] {
    const Bytes before = world.hub->snapshot();
    EXPECT_TRUE(world.hub->handle(Deadline{}).empty());
    EXPECT_EQ(world.hub->snapshot(), before);
  };
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_FALSE(world.hub->may_go_on()) << i;
    no_effect();
    world.to_site(i, Start{world.ready_of(i)});
    world.to_hub(Incoming{world.ready_header(i), encode(world.ready_of(i))});
  }
  EXPECT_TRUE(world.hub->may_go_on());
  EXPECT_EQ(world.hub->handle(Deadline{}).size(), 3U);
  EXPECT_EQ(world.hub->phase(), CoordinatorPhase::cosigning);
  no_effect();
}

// Any two manifests of one exchange have more than c sites in common.
TEST(MissingSites, NoTwoHalvesOfAFederationBeginARound) {
  for (std::uint32_t n = 3; n <= 64; ++n) {
    for (std::uint32_t c = 1; c + 2 <= n; ++c) {
      const std::uint32_t least = least_participants(n, c + 2, c);
      EXPECT_GT(2 * least, n + c) << n << " sites, " << c << " colluding";
      EXPECT_LE(least, n);
    }
  }
  EXPECT_EQ(least_participants(6, 5, 1), 5U) << "the agreement may ask for more";
}

TEST(MissingSites, ThreeOfSixAreTooFewForEitherParty) {
  World world(6, 1, false);
  for (std::uint32_t i = 0; i < 3; ++i) {
    world.to_hub(Incoming{world.ready_header(i), encode(world.ready_of(i))});
    EXPECT_FALSE(world.hub->may_go_on());
  }
  world.to_hub(Incoming{world.ready_header(4), encode(world.ready_of(4))});
  EXPECT_TRUE(world.hub->may_go_on());
  // A coordinator that makes one of three all the same.
  ASSERT_FALSE(world.hub->handle(Deadline{}).empty());
  Manifest half = world.hub->manifest();
  half.participants.pop_back();
  half.threshold = threshold(3, 1);
  world.to_site(0, Start{world.ready_of(0)});
  const border::Header header{world.terms().federation,
                              world.terms().exchange,
                              world.terms().agreement,
                              coordinator_id,
                              SiteId{0},
                              MessageType::manifest,
                              0};
  const Error error = error_of([&] { world.to_site(0, Incoming{header, encode(half)}); });
  EXPECT_EQ(error.code(), errors::manifest_refused);
  EXPECT_EQ(error.fields().expected, "at least 4");
  EXPECT_EQ(world.sites[0].phase(), SitePhase::ready);
}

TEST(MissingSites, TheFinalStateIsAwaitedFromEverySite) {
  World world(4, 1, false);
  world.begin(Round{2}, {digest_of("closing"), std::vector<ledger::Head>(4)});
  world.absent = {late};
  for (std::uint32_t i = 0; i < 3; ++i) {
    world.to_hub(Incoming{world.ready_header(i), encode(world.ready_of(i))});
  }
  EXPECT_FALSE(world.hub->may_go_on());
  EXPECT_TRUE(world.hub->handle(Deadline{}).empty());
  EXPECT_EQ(world.hub->phase(), CoordinatorPhase::gathering);
}

TEST(MissingSites, AReadyThatComesTooLateChangesNothing) {
  World world(4, 1, false);
  world.absent = {late};
  world.run();
  const Bytes before = world.hub->snapshot();
  const Error error = error_of([&] {
    world.to_hub(Incoming{world.ready_header(late), encode(world.ready_of(late))});
  });
  EXPECT_EQ(error.code(), errors::too_late);
  EXPECT_NE(std::string(error.what()).find("dlba (site 3)"), std::string::npos) << error.what();
  EXPECT_EQ(world.hub->snapshot(), before);
}

TEST(MissingSites, ASiteOutsideTheManifestCannotTakePart) {
  World world(4, 1, false);
  world.absent = {late};
  world.run();
  const ExchangeTerms& terms = world.terms();
  for (const MessageType type :
       {MessageType::cosign, MessageType::header, MessageType::agree, MessageType::received}) {
    const border::Header header{terms.federation,
                                terms.exchange,
                                world.hub->manifest_digest(),
                                SiteId{late},
                                coordinator_id,
                                type,
                                0};
    EXPECT_EQ(error_of([&] {
                world.to_hub(Incoming{header, {}});
              }).code(),
              errors::not_a_participant);
  }
}

TEST(MissingSites, ASiteWhoseAggregateIsGoneHoldsWhatProvesTheRoundAllTheSame) {
  for (const std::uint64_t seed : {1, 2, 3}) {
    World world(4, seed, seed > 1);
    world.absent = {late};
    world.gone = true;
    world.run();
    ASSERT_TRUE(world.all_closed());
    EXPECT_TRUE(world.sites[late].forgone());
    EXPECT_EQ(world.sites[late].closing(), world.hub->closing());
    EXPECT_EQ(world.sites[late].chain(), world.hub->chain());
    world.check_replays();
    const Bytes before = world.sites[late].snapshot();
    EXPECT_TRUE(world.sites[late].handle(Forgone{}).empty());
    EXPECT_EQ(world.sites[late].snapshot(), before);
  }
}

TEST(MissingSites, NothingIsForgoneButTheAnnouncedAggregateOfAMissedRound) {
  World world(4, 1, false);
  const auto refused = [&](std::uint32_t site) {
    const Bytes before = world.sites[site].snapshot();
    EXPECT_EQ(error_of([&] { world.sites[site].handle(Forgone{}); }).code(), errors::out_of_turn);
    EXPECT_EQ(world.sites[site].snapshot(), before);
  };
  refused(late);
  world.absent = {late};
  world.run();
  refused(0);
  EXPECT_FALSE(world.sites[late].forgone());
  refused(late);
}

// What every participant signed is all that such a site has.
TEST(MissingSites, AClosingRecordIsNotBelievedForWantOfItsAggregate) {
  const auto error = [](const std::function<void(ClosedBody&)>& lie) {
    World world(4, 1, false);
    world.absent = {late};
    world.gone = true;
    world.intercept = [&](border::Header& header, Bytes& body) {
      if (header.type != MessageType::closed || header.recipient != SiteId{late}) return true;
      ClosedBody closed = decode_closed(body);
      lie(closed);
      body = encode(closed);
      return true;
    };
    return error_of([&] { world.run(); }).code();
  };
  EXPECT_EQ(error([](ClosedBody& closed) { closed.total_weight += 1; }), errors::closing_refused);
  EXPECT_EQ(error([](ClosedBody& closed) { closed.total_weight = 1ULL << 40U; }),
            errors::aggregate_differs);
  EXPECT_EQ(error([](ClosedBody& closed) { closed.root = digest_of("another"); }),
            errors::aggregate_differs);
  EXPECT_EQ(error([](ClosedBody& closed) { closed.manifest = digest_of("another"); }),
            errors::closing_refused);
  EXPECT_EQ(error([](ClosedBody& closed) { closed.received.pop_back(); }), errors::closing_refused);
  EXPECT_EQ(error([](ClosedBody& closed) { closed.received[1].signature = {}; }),
            errors::closing_refused);
}

// The coordinator may leave a site out that was ready in time; it cannot make it believe more.
TEST(MissingSites, ASiteThatWasReadyAcceptsThatItWasLeftOut) {
  World world(4, 1, false);
  world.absent = {late};
  world.to_site(late, Start{world.ready_of(late)});
  bool said = false;
  world.intercept = [&](border::Header& header, Bytes&) {
    said = said || header.sender == SiteId{late};
    return true;
  };
  // Its ready was queued before the interception.
  world.drop_queued();
  world.run();
  ASSERT_TRUE(world.all_closed());
  EXPECT_TRUE(world.sites[late].missed());
  EXPECT_FALSE(said) << "it has nothing to say to a round that goes on without it";
}

// Its job holds another model than the round began from: it must not go on from the aggregate.
TEST(MissingSites, ASiteThatIsReadyWithAnotherStateRefusesARoundWithoutIt) {
  World world(4, 1, false);
  world.run();
  world.begin(Round{1}, world.hub->chain());
  world.absent = {late};
  ReadyBody drifted = world.ready_of(late);
  drifted.state = digest_of("drifted");
  world.to_site(late, Start{drifted});
  world.drop_queued();
  const Error error = refusal_of(world);
  EXPECT_EQ(error.code(), errors::manifest_refused);
  EXPECT_EQ(error.fields().what, "the manifest states another model");
  EXPECT_EQ(world.sites[late].phase(), SitePhase::ready);
}

/// What the absent site of four refuses when `change` alters what it is told in messages of a type.
template <typename Change>
Error refused_record(MessageType type, Change change) {
  World world(4, 1, false);
  world.absent = {late};
  world.intercept = [&](border::Header& header, Bytes& body) {
    if (header.type == type && header.recipient == SiteId{late}) change(body);
    return true;
  };
  Error error = refusal_of(world);
  EXPECT_NE(world.sites[late].phase(), SitePhase::closed);
  return error;
}

TEST(MissingSites, AManifestThatLiesToTheSiteItLeavesOut) {
  // What is found wrong: each lie by the check that is for it.
  const auto altered = [](auto change) {
    const Error error = refused_record(MessageType::manifest, [change](Bytes& body) {
      Manifest manifest = parse_manifest(body, "test");
      change(manifest);
      body = encode(manifest);
    });
    EXPECT_EQ(error.code(), errors::manifest_refused);
    return error.fields().what;
  };
  const std::string not_sites =
      "the manifest does not name sites of the roster, each once and ascending";
  EXPECT_EQ(altered([](Manifest& m) { m.previous_closing = digest_of("x"); }),
            "the manifest does not follow the last closing record");
  EXPECT_EQ(altered([](Manifest& m) { m.participants.pop_back(); }),
            "the manifest has too few participants");
  EXPECT_EQ(altered([](Manifest& m) { m.threshold = 2; }), "the manifest has another threshold");
  EXPECT_EQ(
      altered([](Manifest& m) { m.participants[0].ready.mask = m.participants[1].ready.mask; }),
      "a fresh key of blba (site 1) stands twice");
  EXPECT_EQ(altered([](Manifest& m) { m.participants[2].site = SiteId{9}; }), not_sites);
  EXPECT_EQ(altered([](Manifest& m) { std::swap(m.participants[0], m.participants[1]); }),
            not_sites);
  EXPECT_EQ(altered([](Manifest& m) { m.participants[2].site = SiteId{late}; }),
            "the manifest names this site, which has said no ready");
  EXPECT_EQ(altered([](Manifest& m) { m.state = digest_of("another model"); }),
            "the manifest states another model than its sites");
}

TEST(MissingSites, ARecordThatItsParticipantsDidNotSign) {
  EXPECT_EQ(refused_record(MessageType::go,
                           [](Bytes& body) {
                             GoBody go = decode_go(body);
                             go.cosignatures[1].signature[5] ^= 1U;
                             body = encode(go);
                           })
                .code(),
            errors::statement_refused);
  EXPECT_EQ(refused_record(MessageType::go,
                           [](Bytes& body) {
                             GoBody go = decode_go(body);
                             go.cosignatures.pop_back();
                             body = encode(go);
                           })
                .code(),
            errors::statement_refused);
  EXPECT_EQ(refused_record(MessageType::survivors,
                           [](Bytes& body) {
                             SurvivorsBody survivors = decode_survivors(body);
                             survivors.survivors.pop_back();
                             body = encode(survivors);
                           })
                .code(),
            errors::survivors_refused);
  // Other headers than those that were agreed to: no receipt is over them.
  EXPECT_EQ(refused_record(MessageType::survivors,
                           [](Bytes& body) {
                             SurvivorsBody survivors = decode_survivors(body);
                             survivors.survivors[0].header = digest_of("another upload");
                             body = encode(survivors);
                           })
                .code(),
            errors::closing_refused);
}

TEST(MissingSites, AnotherAggregateThanTheParticipantsReceived) {
  // The coordinator announces and serves another sum, and cannot close it.
  EXPECT_EQ(refused_record(MessageType::aggregate,
                           [](Bytes& body) {
                             TableBody table = decode_table(body);
                             table.table.root = digest_of("another sum");
                             body = encode(table);
                           })
                .code(),
            errors::aggregate_differs);
  EXPECT_EQ(refused_record(MessageType::closed,
                           [](Bytes& body) {
                             ClosedBody closed = decode_closed(body);
                             closed.received[0].signature[9] ^= 1U;
                             body = encode(closed);
                           })
                .code(),
            errors::closing_refused);
  EXPECT_EQ(refused_record(MessageType::closed,
                           [](Bytes& body) {
                             ClosedBody closed = decode_closed(body);
                             closed.received.pop_back();
                             body = encode(closed);
                           })
                .code(),
            errors::closing_refused);
}

TEST(MissingSites, AcceptedStatesThatDifferAreNamedAtTheDeadline) {
  World world(4, 1, false);
  world.run();
  world.begin(Round{1}, world.hub->chain());
  world.absent = {late};
  world.intercept = [](border::Header& header, Bytes& body) {
    if (header.type == MessageType::ready && header.sender == SiteId{1}) {
      ReadyBody ready = decode_ready(body);
      ready.state = digest_of("drifted");
      body = encode(ready);
    }
    return true;
  };
  const Error error = refusal_of(world);
  EXPECT_EQ(error.code(), errors::accepted_states_differ);
  EXPECT_NE(std::string(error.what()).find("differs at blba (site 1)"), std::string::npos);
}

}  // namespace
}  // namespace concordat::federation::test
