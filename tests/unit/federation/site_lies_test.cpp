// A site, or a stranger, lies about each thing it can lie about; each lie ends in its typed error
// and leaves the machine that refused it as it was.
#include <gtest/gtest.h>

#include <algorithm>

#include "unit/federation/lies.hpp"

namespace concordat::federation::test {
namespace {

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

TEST(SiteLies, AnAcceptedUnequalStateNamesWhoDiffersAndEndsTheRound) {
  World world(3, 1, false);
  drift(world, SiteId{1});
  Error error = refusal_of(world);
  EXPECT_EQ(error.code(), errors::accepted_states_differ);
  EXPECT_EQ(error.severity(), Severity::process);
  std::string text = error.what();
  EXPECT_NE(text.find("differs at blba (site 1)"), std::string::npos) << text;
  EXPECT_EQ(text.find("alba"), std::string::npos) << text;
}

TEST(SiteLies, AnUnequalStateThatWasNotAcceptedIsOnlyRefused) {
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

TEST(SiteLies, AStateInRoundZeroThatIsNotTheAgreements) {
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

TEST(SiteLies, ALedgerThatForgetsIsNamed) {
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

TEST(SiteLies, ASiteThatSaysTwoThings) {
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
TEST(SiteLies, FreshKeysThatWouldStopEveryBorderAreRefusedAtTheCoordinator) {
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

TEST(SiteLies, WhatWasSaidInAnotherRunOfTheRosterIsNoContradiction) {
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

TEST(SiteLies, AForgedSignatureOfASite) {
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

TEST(SiteLies, MessagesOfOtherExchangesFederationsAndSenders) {
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

TEST(SiteLies, ACommitThatChangesAfterItsHeader) {
  World world(3, 1, false);
  world.run();
  EXPECT_TRUE(world.sites[0].handle(Committed{world.upload_of(0)}).empty());
  Error error = error_of([&] { world.sites[0].handle(Committed{world.upload_of(1)}); });
  EXPECT_EQ(error.code(), errors::equivocation);
}

TEST(SiteLies, ASumThatIsNotWhatWasAnnouncedOrTooHeavy) {
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

TEST(SiteLies, MessagesOutOfTurnMayComeAgain) {
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
