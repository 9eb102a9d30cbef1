// The coordinator lies about each thing it can lie about; each lie ends in its typed error and
// leaves the site that refused it as it was.
#include <gtest/gtest.h>

#include <algorithm>

#include "unit/federation/lies.hpp"

namespace concordat::federation::test {
namespace {

TEST(CoordinatorLies, ManifestWithASwappedOwnKey) {
  Error error = refused_manifest([](Manifest& m) { m.participants[1].ready.mask = seal_key(250); });
  EXPECT_EQ(error.code(), errors::manifest_refused);
  EXPECT_NE(std::string(error.what()).find("own ready"), std::string::npos);
}

TEST(CoordinatorLies, ManifestThatMisstatesRosterAgreementChainThresholdOrParticipants) {
  const std::vector<std::function<void(Manifest&)>> changes = {
      [](Manifest& m) { m.federation = digest_of("x"); },
      [](Manifest& m) { m.roster = digest_of("x"); },
      [](Manifest& m) { m.agreement = digest_of("x"); },
      [](Manifest& m) { m.previous_closing = digest_of("x"); },
      [](Manifest& m) { m.state = digest_of("x"); },
      [](Manifest& m) { m.threshold = 2; },
      [](Manifest& m) { m.exchange.attempt = Attempt{1}; },
      [](Manifest& m) { m.participants.pop_back(); },
      [](Manifest& m) { m.participants.push_back(m.participants.back()); },
      [](Manifest& m) { std::swap(m.participants[0], m.participants[2]); },
      [](Manifest& m) { m.participants[0].ready.round = Round{1}; },
      [](Manifest& m) { m.participants[2].ready.mask = m.participants[0].ready.mask; }};
  for (const auto& change : changes) {
    EXPECT_EQ(refused_manifest(change).code(), errors::manifest_refused);
  }
}

TEST(CoordinatorLies, AManifestThatDiffersBetweenTwoSitesIsNeverCosignedByAll) {
  // Site 1 is shown another mask key of site 0: to read the masks between them.
  World world(3, 1, false);
  world.intercept = altered_manifest(
      SiteId{1}, [](Manifest& m) { m.participants[0].ready.mask = seal_key(250); });
  Error error = refusal_of(world);
  // Its cosignature is tied to what it saw, and the coordinator cannot use it.
  EXPECT_EQ(error.code(), errors::wrong_exchange);
  for (const SiteExchange& site : world.sites) EXPECT_LT(site.phase(), SitePhase::going);
}

TEST(CoordinatorLies, GoWithACosignatureOverAnotherManifest) {
  World world(3, 1, false);
  world.intercept = [](border::Header& header, Bytes& body) {
    if (header.type == MessageType::go && header.recipient == SiteId{0}) {
      GoBody go = decode_go(body);
      go.cosignatures[2].signature = signing(site_number(2))
                                         .sign(cosign_statement(header.federation, header.exchange,
                                                                digest_of("another manifest")));
      body = encode(go);
    }
    return true;
  };
  Error error = refusal_of(world);
  EXPECT_EQ(error.code(), errors::statement_refused);
  EXPECT_NE(std::string(error.what()).find("clba (site 2)"), std::string::npos) << error.what();
  EXPECT_EQ(world.sites[0].phase(), SitePhase::cosigned);
}

TEST(CoordinatorLies, GoWithoutEveryCosignature) {
  World world(3, 1, false);
  world.intercept = [](border::Header& header, Bytes& body) {
    if (header.type == MessageType::go) {
      GoBody go = decode_go(body);
      go.cosignatures.pop_back();
      body = encode(go);
    }
    return true;
  };
  EXPECT_EQ(refusal_of(world).code(), errors::statement_refused);
}

TEST(CoordinatorLies, ASecondManifestForALockedExchangeIsEvidence) {
  World world(3, 1, false);
  world.intercept = [](border::Header& header, Bytes&) { return header.type != MessageType::go; };
  world.run();
  SiteExchange& site = world.sites[0];
  ASSERT_EQ(site.phase(), SitePhase::cosigned);
  Bytes before = site.snapshot();
  Manifest second = world.hub->manifest();
  second.participants[1].ready.mask = seal_key(250);
  border::Header header{world.terms().federation,
                        world.terms().exchange,
                        world.terms().agreement,
                        coordinator_id,
                        SiteId{0},
                        MessageType::manifest,
                        0};
  Error error = error_of([&] { site.handle(Incoming{header, encode(second)}); });
  EXPECT_EQ(error.code(), errors::equivocation);
  EXPECT_EQ(site.snapshot(), before);
  // The first one again is only a repetition.
  EXPECT_TRUE(site.handle(Incoming{header, encode(world.hub->manifest())}).empty());
}

TEST(CoordinatorLies, SurvivorsThatMisstateThisSitesHeaderOrLeaveSomebodyOut) {
  for (bool shorten : {false, true}) {
    World world(3, 1, false);
    world.intercept = [=](border::Header& header, Bytes& body) {
      if (header.type == MessageType::survivors) {
        SurvivorsBody survivors = decode_survivors(body);
        if (shorten) {
          survivors.survivors.pop_back();
        } else {
          survivors.survivors[header.recipient.value()].header = digest_of("x");
        }
        body = encode(survivors);
      }
      return true;
    };
    EXPECT_EQ(refusal_of(world).code(), errors::survivors_refused);
    EXPECT_EQ(world.sites[0].phase(), SitePhase::committed);
  }
}

TEST(CoordinatorLies, SurvivorsThatDifferBetweenSitesDoNotGetEveryAgreement) {
  World world(3, 1, false);
  world.intercept = [](border::Header& header, Bytes& body) {
    if (header.type == MessageType::survivors && header.recipient == SiteId{1}) {
      SurvivorsBody survivors = decode_survivors(body);
      survivors.survivors[2].header = digest_of("x");
      body = encode(survivors);
    }
    return true;
  };
  Error error = refusal_of(world);
  EXPECT_EQ(error.code(), errors::statement_refused);
  EXPECT_NE(std::string(error.what()).find("blba (site 1)"), std::string::npos);
}

// A coordinator that shows site 1 other survivors and passes over its agreement and receipt: the
// closing record does not hold for the others.
TEST(CoordinatorLies, DifferentSurvivorsCannotBeClosed) {
  for (bool coordinator_lies : {false, true}) {
    World world(3, 1, false);
    const crypto::SigningKey key = signing(site_number(1));
    std::optional<crypto::Signature> original;
    world.intercept = [&](border::Header& header, Bytes& body) {
      const ExchangeTerms& terms = world.terms();
      const Digest& manifest = world.hub->manifest_digest();
      const SurvivorsBody& right = world.hub->survivors();
      if (header.type == MessageType::survivors && header.recipient == SiteId{1}) {
        SurvivorsBody survivors = decode_survivors(body);
        survivors.survivors[2].header = digest_of("x");
        body = encode(survivors);
      }
      if (header.type == MessageType::agree && header.sender == SiteId{1}) {
        body = encode(AgreeBody{
            key.sign(agree_statement(terms.federation, terms.exchange, manifest, right))});
      }
      if (header.type == MessageType::received && header.sender == SiteId{1} && coordinator_lies) {
        ReceivedBody received = decode_received(body);
        original = received.signature;
        received.signature = key.sign(received_statement(terms.federation, terms.exchange, manifest,
                                                         crypto::sha256(encode(right)),
                                                         received.root, received.total_weight));
        body = encode(received);
      }
      if (header.type == MessageType::closed && original) {
        ClosedBody closed = decode_closed(body);
        closed.received[1].signature = *original;
        body = encode(closed);
      }
      return true;
    };
    Error error = refusal_of(world);
    EXPECT_EQ(error.code(), coordinator_lies ? errors::closing_refused : errors::statement_refused);
    EXPECT_NE(std::string(error.what()).find("blba (site 1)"), std::string::npos) << error.what();
    EXPECT_EQ(world.sites[0].phase(), SitePhase::received);
  }
}

TEST(CoordinatorLies, AnAggregateOfOtherBlocks) {
  World world(3, 1, false);
  world.intercept = [](border::Header& header, Bytes& body) {
    if (header.type == MessageType::aggregate) {
      TableBody table = decode_table(body);
      table.table.vectors[0].num_blocks += 1;
      body = encode(table);
    }
    return true;
  };
  EXPECT_EQ(refusal_of(world).code(), errors::table_refused);
}

TEST(CoordinatorLies, DifferentAggregatesToDifferentSites) {
  World world(3, 1, false);
  world.intercept = [](border::Header& header, Bytes& body) {
    if (header.type == MessageType::aggregate && header.recipient == SiteId{1}) {
      TableBody table = decode_table(body);
      table.table.root = digest_of("another sum");
      body = encode(table);
    }
    return true;
  };
  Error error = refusal_of(world);
  EXPECT_EQ(error.code(), errors::aggregate_differs);
  EXPECT_NE(std::string(error.what()).find("blba (site 1)"), std::string::npos);
}

TEST(CoordinatorLies, AClosingRecordThatDiffers) {
  const std::vector<std::pair<std::function<void(ClosedBody&)>, ErrorCode>> changes = {
      {[](ClosedBody& c) { c.manifest = digest_of("x"); }, errors::closing_refused},
      {[](ClosedBody& c) { c.root = digest_of("x"); }, errors::aggregate_differs},
      {[](ClosedBody& c) { c.total_weight += 1; }, errors::closing_refused},
      {[](ClosedBody& c) { c.received.pop_back(); }, errors::closing_refused},
      {[](ClosedBody& c) { c.received[0].signature[5] ^= 1; }, errors::closing_refused},
      {[](ClosedBody& c) { c.received[2].signature = c.received[0].signature; },
       errors::closing_refused}};
  for (const auto& [change, code] : changes) {
    World world(3, 1, false);
    world.intercept = [&](border::Header& header, Bytes& body) {
      if (header.type == MessageType::closed) {
        ClosedBody closed = decode_closed(body);
        change(closed);
        body = encode(closed);
      }
      return true;
    };
    EXPECT_EQ(refusal_of(world).code(), code);
    EXPECT_EQ(world.sites[0].phase(), SitePhase::received);
  }
}

}  // namespace
}  // namespace concordat::federation::test
