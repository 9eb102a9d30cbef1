// Each party lies about each thing it can lie about; each lie ends in its typed error and leaves
// the machine that refused it as it was.
#include <gtest/gtest.h>

#include <algorithm>

#include "concordat/crypto/dsse.hpp"
#include "unit/federation/world.hpp"

namespace concordat::federation::test {
namespace {

using border::MessageType;

/// Runs until the lie is refused.
Error refusal_of(World& world) {
  return error_of([&] { world.run(); });
}

/// Changes the manifest that `victim` gets.
template <typename Change>
World::Intercept altered_manifest(SiteId victim, Change change) {
  return [=](border::Header& header, Bytes& body) {
    if (header.type == MessageType::manifest && header.recipient == victim) {
      Manifest manifest = parse_manifest(body, "test");
      change(manifest);
      body = encode(manifest);
    }
    return true;
  };
}

template <typename Change>
Error refused_manifest(Change change) {
  World world(3, 1, false);
  world.intercept = altered_manifest(SiteId{1}, change);
  Error error = refusal_of(world);
  EXPECT_EQ(world.sites[1].phase(), SitePhase::ready);
  return error;
}

TEST(Lies, ManifestWithASwappedOwnKey) {
  Error error = refused_manifest([](Manifest& m) { m.participants[1].ready.mask = seal_key(250); });
  EXPECT_EQ(error.code(), errors::manifest_refused);
  EXPECT_NE(std::string(error.what()).find("own ready"), std::string::npos);
}

TEST(Lies, ManifestThatMisstatesRosterAgreementChainThresholdOrParticipants) {
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

TEST(Lies, AManifestThatDiffersBetweenTwoSitesIsNeverCosignedByAll) {
  // Site 1 is shown another mask key of site 0: to read the masks between them.
  World world(3, 1, false);
  world.intercept = altered_manifest(
      SiteId{1}, [](Manifest& m) { m.participants[0].ready.mask = seal_key(250); });
  Error error = refusal_of(world);
  // Its cosignature is tied to what it saw, and the coordinator cannot use it.
  EXPECT_EQ(error.code(), errors::wrong_exchange);
  for (const SiteExchange& site : world.sites) EXPECT_LT(site.phase(), SitePhase::going);
}

TEST(Lies, GoWithACosignatureOverAnotherManifest) {
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

TEST(Lies, GoWithoutEveryCosignature) {
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

TEST(Lies, ASecondManifestForALockedExchangeIsEvidence) {
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

TEST(Lies, SurvivorsThatMisstateThisSitesHeaderOrLeaveSomebodyOut) {
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

TEST(Lies, SurvivorsThatDifferBetweenSitesDoNotGetEveryAgreement) {
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
TEST(Lies, DifferentSurvivorsCannotBeClosed) {
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

TEST(Lies, AnAggregateOfOtherBlocks) {
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

TEST(Lies, DifferentAggregatesToDifferentSites) {
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

TEST(Lies, AClosingRecordThatDiffers) {
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

/// Round 1 begins; this site states another model.
void drift(World& world, SiteId liar) {
  world.run();
  world.begin(Round{1}, world.hub->chain());
  world.intercept = [liar](border::Header& header, Bytes& body) {
    if (header.type == MessageType::ready && header.sender == liar) {
      ReadyBody ready = decode_ready(body);
      ready.state = digest_of("drifted");
      body = encode(ready);
    }
    return true;
  };
}

TEST(Lies, AnAcceptedUnequalStateNamesWhoDiffersAndEndsTheRound) {
  World world(3, 1, false);
  drift(world, SiteId{1});
  Error error = refusal_of(world);
  EXPECT_EQ(error.code(), errors::accepted_states_differ);
  EXPECT_EQ(error.severity(), Severity::process);
  std::string text = error.what();
  EXPECT_NE(text.find("differs at blba (site 1)"), std::string::npos) << text;
  EXPECT_EQ(text.find("alba"), std::string::npos) << text;
}

TEST(Lies, AnUnequalStateThatWasNotAcceptedIsOnlyRefused) {
  World world(3, 1, false);
  drift(world, SiteId{2});
  Error error = refusal_of(world);
  EXPECT_EQ(error.code(), errors::state_differs);
  EXPECT_EQ(error.severity(), Severity::round);
  EXPECT_NE(std::string(error.what()).find("differs at clba (site 2)"), std::string::npos);
  // The site is restored and says what is right.
  world.intercept = {};
  world.to_hub(Incoming{world.ready_header(2), encode(world.ready_of(2))});
  world.run();
  EXPECT_TRUE(world.all_closed());
}

TEST(Lies, AStateInRoundZeroThatIsNotTheAgreements) {
  World world(3, 1, false);
  ReadyBody ready = world.ready_of(0);
  ready.state = digest_of("other weights");
  Error error = error_of([&] { world.to_site(0, Start{ready}); });
  EXPECT_EQ(error.code(), errors::state_differs);

  // A site that does not check itself is stopped by the coordinator at once.
  border::Header header = world.ready_header(0);
  error = error_of([&] { world.to_hub(Incoming{header, encode(ready)}); });
  EXPECT_EQ(error.code(), errors::state_differs);
  EXPECT_NE(std::string(error.what()).find("alba (site 0)"), std::string::npos);
}

TEST(Lies, ALedgerThatForgetsIsNamed) {
  World world(3, 1, false);
  world.run();
  world.begin(Round{1}, world.hub->chain());
  world.intercept = [](border::Header& header, Bytes& body) {
    if (header.type == MessageType::ready && header.sender == SiteId{2}) {
      ReadyBody ready = decode_ready(body);
      ready.ledger.root = digest_of("another history");
      body = encode(ready);
    }
    return true;
  };
  Error error = refusal_of(world);
  EXPECT_EQ(error.code(), errors::ledger_forked);
  EXPECT_EQ(error.severity(), Severity::round) << "one site must not end the coordinator";
  EXPECT_NE(std::string(error.what()).find("clba (site 2)"), std::string::npos);
}

TEST(Lies, ASiteThatSaysTwoThings) {
  World world(3, 1, false);
  world.run();
  const ExchangeTerms& terms = world.terms();
  auto again = [&](MessageType type, const Bytes& body) {
    Digest manifest = names_agreement(type) ? terms.agreement : world.hub->manifest_digest();
    border::Header header{terms.federation, terms.exchange, manifest, SiteId{1},
                          coordinator_id,   type,           0};
    return error_of([&] { world.to_hub(Incoming{header, body}); });
  };
  ReadyBody ready = world.ready_of(1);
  ready.mask = seal_key(250);
  EXPECT_EQ(again(MessageType::ready, encode(ready)).code(), errors::equivocation);
  TableBody header{terms.table(digest_of("another upload")), {}};
  EXPECT_EQ(again(MessageType::header, encode(header)).code(), errors::equivocation);
  EXPECT_EQ(again(MessageType::cosign, encode(CosignBody{})).code(), errors::equivocation);
  EXPECT_EQ(again(MessageType::agree, encode(AgreeBody{})).code(), errors::equivocation);
  EXPECT_EQ(again(MessageType::received, encode(ReceivedBody{})).code(), errors::equivocation);
}

// Points of X25519 that give no secret, or the secret of another key.
TEST(Lies, FreshKeysThatWouldStopEveryBorderAreRefusedAtTheCoordinator) {
  const auto key = [](const char* hex) {
    crypto::SealKey point;
    Bytes raw = from_hex(hex, "test");
    std::copy(raw.begin(), raw.end(), point.bytes.begin());
    return point;
  };
  const auto small = key("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800");
  const auto minus_one = key("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
  const std::vector<std::function<void(ReadyBody&)>> changes = {
      [](ReadyBody& r) { r.mask = {}; }, [](ReadyBody& r) { r.share = {}; },
      [&](ReadyBody& r) { r.mask = small; }, [&](ReadyBody& r) { r.share = minus_one; },
      [](ReadyBody& r) { r.share = r.mask; },
      // The top bit is not part of the point.
      [](ReadyBody& r) { (r.share = r.mask).bytes[31] ^= 0x80U; },
      [](ReadyBody& r) { r.mask = World(3, 1, false).ready_of(0).share; }};
  for (const auto& change : changes) {
    World world(3, 1, false);
    world.to_site(0, Start{world.ready_of(0)});
    world.to_hub(Incoming{world.ready_header(0), encode(world.ready_of(0))});
    Bytes before = world.hub->snapshot();
    ReadyBody ready = world.ready_of(1);
    change(ready);
    Error error = error_of([&] { world.to_hub(Incoming{world.ready_header(1), encode(ready)}); });
    EXPECT_EQ(error.code(), errors::fresh_key_refused);
    EXPECT_EQ(error.severity(), Severity::round);
    EXPECT_NE(std::string(error.what()).find("blba (site 1)"), std::string::npos) << error.what();
    EXPECT_EQ(world.hub->snapshot(), before);
    world.run();  // the site that lied comes with good keys
    EXPECT_TRUE(world.all_closed());
    if (ready.mask != World(3, 1, false).ready_of(0).share) {
      EXPECT_EQ(refused_manifest([&](Manifest& m) { change(m.participants[2].ready); }).code(),
                errors::manifest_refused);
    }
  }
}

TEST(Lies, WhatWasSaidInAnotherRunOfTheRosterIsNoContradiction) {
  World world(3, 1, false);
  border::Header ready = world.ready_header(0);
  ready.manifest = digest_of("another agreement");
  auto refused = [&](const border::Header& header, const Digest& manifest) {
    return error_of([&] { check_run(world.terms(), header, manifest); }).code();
  };
  EXPECT_EQ(refused(ready, {}), errors::wrong_exchange);
  EXPECT_EQ(error_of([&] {
              world.to_hub(Incoming{ready, encode(world.ready_of(0))});
            }).code(),
            errors::wrong_exchange);
  ready.manifest = {};
  EXPECT_EQ(refused(ready, {}), errors::wrong_exchange) << "zero names no run";
  EXPECT_NO_THROW(check_run(world.terms(), world.ready_header(0), {}));
  for (MessageType type : {MessageType::ready, MessageType::manifest}) {
    World other(3, 1, false);
    other.intercept = [&](border::Header& header, Bytes&) {
      if (header.type == type) header.manifest = digest_of("another agreement");
      return true;
    };
    EXPECT_EQ(refusal_of(other).code(), errors::wrong_exchange);
  }
  border::Header cosign = world.ready_header(0);
  cosign.type = MessageType::cosign;
  cosign.manifest = digest_of("manifest of another run");
  EXPECT_EQ(refused(cosign, digest_of("manifest")), errors::wrong_exchange);
  EXPECT_NO_THROW(check_run(world.terms(), cosign, {})) << "nothing is locked yet";
  EXPECT_NO_THROW(check_run(world.terms(), cosign, cosign.manifest));
}

TEST(Lies, AForgedSignatureOfASite) {
  for (MessageType type : {MessageType::cosign, MessageType::agree, MessageType::received}) {
    World world(3, 1, false);
    world.intercept = [=](border::Header& header, Bytes& body) {
      if (header.type == type && header.sender == SiteId{2}) {
        // The signature is the first field of cosign and agree, the last of received.
        body[type == MessageType::received ? body.size() - 1 : 0] ^= 1;
      }
      return true;
    };
    Error error = refusal_of(world);
    EXPECT_EQ(error.code(), errors::statement_refused);
    EXPECT_NE(std::string(error.what()).find("clba (site 2)"), std::string::npos);
  }
}

TEST(Lies, MessagesOfOtherExchangesFederationsAndSenders) {
  const std::vector<std::function<void(border::Header&)>> changes = {
      [](border::Header& h) { h.federation = digest_of("x"); },
      [](border::Header& h) { h.exchange.round = Round{9}; },
      [](border::Header& h) { h.exchange.attempt = Attempt{1}; },
      [](border::Header& h) { h.manifest = digest_of("x"); },
      [](border::Header& h) { h.index = 1; },
      [](border::Header& h) { h.recipient = SiteId{2}; }};
  for (const auto& change : changes) {
    World world(3, 1, false);
    world.intercept = [&](border::Header& header, Bytes&) {
      if (header.type == MessageType::go) change(header);
      return true;
    };
    // The queue still delivers it to whom it was for.
    Error error = error_of([&] {
      world.run();
      throw Bug("accepted");
    });
    EXPECT_EQ(error.code(), errors::wrong_exchange);
  }
  World world(3, 1, false);
  border::Header header{world.terms().federation,
                        world.terms().exchange,
                        world.terms().agreement,
                        SiteId{2},
                        SiteId{0},
                        MessageType::manifest,
                        0};
  EXPECT_EQ(error_of([&] {
              world.sites[0].handle(Incoming{header, {}});
            }).code(),
            errors::wrong_exchange);
  header.sender = SiteId{7};
  header.recipient = coordinator_id;
  header.type = MessageType::ready;
  EXPECT_EQ(error_of([&] {
              world.hub->handle(Incoming{header, {}});
            }).code(),
            errors::not_in_roster);
}

TEST(Lies, ACommitThatChangesAfterItsHeader) {
  World world(3, 1, false);
  world.run();
  EXPECT_TRUE(world.sites[0].handle(Committed{world.upload_of(0)}).empty());
  Error error = error_of([&] { world.sites[0].handle(Committed{world.upload_of(1)}); });
  EXPECT_EQ(error.code(), errors::equivocation);
}

TEST(Lies, ASumThatIsNotWhatWasAnnouncedOrTooHeavy) {
  World world(3, 1, false);
  world.intercept = [](border::Header& header, Bytes&) {
    return header.type != MessageType::received && header.type != MessageType::aggregate;
  };
  world.run();
  ASSERT_EQ(world.hub->phase(), CoordinatorPhase::receiving);
  border::Header header{world.terms().federation,
                        world.terms().exchange,
                        world.hub->manifest_digest(),
                        coordinator_id,
                        SiteId{0},
                        MessageType::aggregate,
                        0};
  SiteExchange& site = world.sites[0];
  site.handle(Incoming{header, encode(TableBody{world.sum(), {}})});
  auto stored = [&](const Digest& root, std::uint64_t weight) {
    return error_of([&] { site.handle(AggregateStored{root, weight}); }).code();
  };
  EXPECT_EQ(stored(digest_of("x"), 10), errors::aggregate_differs);
  EXPECT_EQ(stored(world.sum().root, 30'001), errors::aggregate_differs);
  EXPECT_EQ(site.phase(), SitePhase::fetching);
}

TEST(Lies, MessagesOutOfTurnMayComeAgain) {
  World world(3, 1, false);
  world.to_site(0, Start{world.ready_of(0)});
  border::Header header{world.terms().federation,
                        world.terms().exchange,
                        {},
                        coordinator_id,
                        SiteId{0},
                        MessageType::survivors,
                        0};
  EXPECT_EQ(error_of([&] {
              world.sites[0].handle(Incoming{header, {}});
            }).code(),
            errors::out_of_turn);
  EXPECT_EQ(error_of([&] { world.sites[0].handle(Committed{world.upload_of(0)}); }).code(),
            errors::out_of_turn);
  EXPECT_EQ(error_of([&] {
              world.hub->handle(Summed{world.sum(), 1});
            }).code(),
            errors::out_of_turn);
}

}  // namespace
}  // namespace concordat::federation::test
