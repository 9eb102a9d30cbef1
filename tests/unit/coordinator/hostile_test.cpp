// What members can do to a coordinator, and what operators can get wrong.
#include <gtest/gtest.h>

#include "concordat/border/errors.hpp"
#include "concordat/border/loopback.hpp"
#include "concordat/coordinator/errors.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/exact/errors.hpp"
#include "concordat/ledger/verify.hpp"
#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"
#include "unit/coordinator/fake_site.hpp"

namespace concordat::coordinator::testing {
namespace {

using std::chrono::milliseconds;

struct Scene {
  explicit Scene(std::uint32_t num_sites = 3) : federation({}, num_sites) {}
  testing_support::TemporaryFolder temporary;
  Federation federation;
  milliseconds deadline{0};
  border::ByteBudget budget{8U << 20U};
  border::LoopbackRoad road;
  crypto::SiteKeys keys = federation.keys(coordinator_id);
  std::filesystem::path folder = temporary.path() / "hub";

  CoordinatorPlan plan() {
    CoordinatorPlan plan;
    plan.folder = folder;
    plan.roster = federation.roster;
    plan.agreement = federation.agreement;
    plan.poll_wait = milliseconds(1);
    plan.linger = milliseconds(0);
    plan.deadline = deadline;
    return plan;
  }
  std::unique_ptr<CoordinatorLoop> start() {
    return std::make_unique<CoordinatorLoop>(
        CoordinatorSeams{posix_files(), system_clock(), crypto::system_random(), road, budget},
        plan(), keys);
  }
  border::Envelope seal(SiteId from, border::Header header, ByteView body) {
    crypto::SiteKeys of = federation.keys(from);
    border::Identity self{from, of.signing, of.sealing};
    ledger::Ledger ledger = ledger::Ledger::open(
        posix_files(), temporary.path() / ("ledger-" + std::to_string(++ledgers)), "test/ledger",
        of.log, system_clock());
    auto kind = static_cast<ledger::CrossingKind>(header.type);
    return border::seal_message(
        ledger.write(ledger::Decision{
            .kind = kind,
            .exchange = header.exchange,
            .manifest = header.manifest,
            .recipient = header.recipient,
            .max_bytes = 1U << 20U,
            .id = ledger::decision_id(kind, header.exchange, header.recipient, header.index),
            .permitted = true,
            .rule = "entailed",
            .reason = "test"}),
        header, body, self, federation.peers, crypto::system_random());
  }
  border::Header header(SiteId from, border::MessageType type, Round round = {}) {
    return {.federation = federation.peers.federation(),
            .exchange = {round, {}, {}},
            .manifest = federation::names_agreement(type) ? federation.agreement.digest : Digest{},
            .sender = from,
            .recipient = coordinator_id,
            .type = type,
            .index = 0};
  }
  federation::ReadyBody ready(std::uint8_t key) {
    federation::ReadyBody body;
    body.state = federation.agreement.agreement.initial_state;
    body.ledger = {1, crypto::sha256(as_bytes("leaf"))};
    body.mask = crypto::OpeningKey::from_private(Bytes(32, key)).seal_key();
    body.share =
        crypto::OpeningKey::from_private(Bytes(32, static_cast<std::uint8_t>(key + 1))).seal_key();
    return body;
  }
  unsigned ledgers = 0;
};

/// The code in the refusal that `act` gets; "" if it gets none.
template <typename Act>
std::string refusal_of(Act&& act) {
  try {
    act();
  } catch (const Error& error) {
    if (error.code() == border::errors::peer_refused) {
      return error.fields().found.substr(0, error.fields().found.find(':'));
    }
    return std::string(error.code().name);
  }
  return "";
}

TEST(Hostile, ASecondReadyIsRefusedAndKept) {
  Scene scene;
  auto loop = scene.start();
  auto road = scene.road.site(SiteId(0));
  auto header = scene.header(SiteId(0), border::MessageType::ready);
  border::Envelope first = scene.seal(SiteId(0), header, federation::encode(scene.ready(40)));
  border::Envelope second = scene.seal(SiteId(0), header, federation::encode(scene.ready(50)));
  road->deliver(first);
  EXPECT_EQ(refusal_of([&] { road->deliver(second); }), "border.equivocation");
  road->deliver(first);
  EXPECT_EQ(posix_files().list(scene.folder / "journal/receipts/evidence").size(), 1U);
  loop.reset();
  auto again = scene.start();
  EXPECT_EQ(refusal_of([&] { road->deliver(second); }), "border.equivocation");
  road->deliver(first);
}

TEST(Hostile, AnExchangeThatIsNotOpenTakesNothing) {
  Scene scene;
  auto loop = scene.start();
  auto road = scene.road.site(SiteId(0));
  auto body = scene.ready(40);
  body.round = Round{5};
  auto header = scene.header(SiteId(0), border::MessageType::ready, Round{5});
  EXPECT_EQ(
      refusal_of([&] { road->deliver(scene.seal(SiteId(0), header, federation::encode(body))); }),
      "coordinator.not_open");
}

TEST(Hostile, AMessageOutOfTurnIsRefused) {
  Scene scene;
  auto loop = scene.start();
  auto road = scene.road.site(SiteId(0));
  auto header = scene.header(SiteId(0), border::MessageType::agree);
  EXPECT_EQ(
      refusal_of([&] {
        road->deliver(scene.seal(SiteId(0), header, federation::encode(federation::AgreeBody{})));
      }),
      "federation.out_of_turn");
}

TEST(Hostile, FramesWithoutAHeaderAreRefused) {
  Scene scene;
  auto loop = scene.start();
  auto road = scene.road.site(SiteId(0));
  EXPECT_EQ(refusal_of([&] { road->upload_position({}); }), "border.no_header");
  EXPECT_EQ(refusal_of([&] { road->flush_blocks({Round{7}, {}, {}}); }), "coordinator.not_open");
  EXPECT_EQ(refusal_of([&] { road->fetch_blocks({}, 0, 1, [](ByteView) {}); }),
            "coordinator.not_open");
}

TEST(Hostile, RefusalsStandInTheLedger) {
  Scene scene;
  auto loop = scene.start();
  auto road = scene.road.site(SiteId(1));
  auto header = scene.header(SiteId(1), border::MessageType::ready);
  road->deliver(scene.seal(SiteId(1), header, federation::encode(scene.ready(40))));
  for (std::uint8_t i = 0; i < 100; ++i) {
    border::Envelope other = scene.seal(
        SiteId(1), header, federation::encode(scene.ready(static_cast<std::uint8_t>(60 + i))));
    EXPECT_EQ(refusal_of([&] { road->deliver(other); }), "border.equivocation");
  }
  loop.reset();
  auto log = ledger::read_log(posix_files(), scene.folder / "ledger",
                              ledger::log_origin("hub", scene.keys.log.verify_key()),
                              scene.keys.log.verify_key());
  std::size_t refusals = 0;
  for (const auto& logged : log.entries) refusals += logged.entry.kind == "refusal";
  EXPECT_EQ(refusals, 64U) << "a flood does not fill the ledger";
}

/// Rules of the refusals in the coordinator's ledger. @pre no coordinator runs.
std::vector<std::string> refusals_in_ledger(const Scene& scene) {
  auto log = ledger::read_log(posix_files(), scene.folder / "ledger",
                              ledger::log_origin("hub", scene.keys.log.verify_key()),
                              scene.keys.log.verify_key());
  std::vector<std::string> rules;
  for (const auto& logged : log.entries) {
    if (logged.entry.kind == "refusal") rules.push_back(logged.entry.at("rule"));
  }
  return rules;
}

TEST(Hostile, AReadyThatIsNotAcceptedNeverEndsTheCoordinator) {
  Scene scene;
  auto loop = scene.start();
  auto road = scene.road.site(SiteId(1));
  auto header = scene.header(SiteId(1), border::MessageType::ready);
  auto refusal = [&](const federation::ReadyBody& body) {
    return refusal_of(
        [&] { road->deliver(scene.seal(SiteId(1), header, federation::encode(body))); });
  };
  auto other_state = scene.ready(40);
  other_state.state.bytes[0] ^= 1U;
  EXPECT_EQ(refusal(other_state), "federation.state_differs");
  auto no_secret = scene.ready(40);
  no_secret.mask = {};
  EXPECT_EQ(refusal(no_secret), "federation.fresh_key_refused");
  auto one_key = scene.ready(40);
  one_key.share = one_key.mask;
  EXPECT_EQ(refusal(one_key), "federation.fresh_key_refused");
  EXPECT_TRUE(loop->turn());
  EXPECT_EQ(refusal(scene.ready(40)), "") << "its honest ready is still welcome";
  EXPECT_TRUE(loop->turn());
  loop.reset();
  EXPECT_EQ(refusals_in_ledger(scene),
            (std::vector<std::string>{"federation.state_differs", "federation.fresh_key_refused",
                                      "federation.fresh_key_refused"}));
}

struct Drifting : Scene {
  std::vector<std::unique_ptr<border::SiteRoad>> roads;
  std::vector<std::unique_ptr<FakeSite>> sites;
  std::unique_ptr<CoordinatorLoop> loop = start();

  explicit Drifting(std::uint32_t liar) {
    for (std::uint32_t i = 0; i < 3; ++i) {
      roads.push_back(road.site(SiteId(i)));
      sites.push_back(std::make_unique<FakeSite>(
          federation, SiteId(i), temporary.path() / ("site-" + std::to_string(i)), *roads[i]));
    }
    sites[liar]->drifts = true;
    for (int i = 0; i < 2000; ++i) {
      bool all = true;
      for (auto& site : sites) {
        if (site->round() == Round{0}) site->step(milliseconds(0));
        all = all && site->round() == Round{1};
      }
      if (all) return;
      loop->turn();
    }
    throw Bug("round 0 was not closed");
  }
};

TEST(Hostile, TheLastReadyWithAnotherStateIsRefusedAndTheCoordinatorGoesOn) {
  Drifting scene(2);
  scene.sites[0]->step(milliseconds(0));
  scene.sites[1]->step(milliseconds(0));
  EXPECT_EQ(refusal_of([&] { scene.sites[2]->step(milliseconds(0)); }), "federation.state_differs");
  EXPECT_TRUE(scene.loop->turn());
  EXPECT_EQ(refusal_of([&] { scene.sites[2]->step(milliseconds(0)); }), "federation.state_differs");
  EXPECT_TRUE(scene.loop->turn());
  scene.loop.reset();
  EXPECT_EQ(refusals_in_ledger(scene).at(0), "federation.state_differs");
}

TEST(Hostile, AcceptedReadiesThatCannotAgreeEndTheCoordinatorWithARefusal) {
  Drifting scene(1);
  scene.sites[0]->step(milliseconds(0));
  scene.sites[1]->step(milliseconds(0));
  EXPECT_TRUE(scene.loop->turn());
  EXPECT_EQ(refusal_of([&] { scene.sites[2]->step(milliseconds(0)); }),
            "federation.accepted_states_differ");
  EXPECT_ERROR_SAYS(scene.loop->turn(), federation::errors::accepted_states_differ, "(site 1)");
  scene.loop.reset();
  EXPECT_EQ(refusals_in_ledger(scene),
            std::vector<std::string>{"federation.accepted_states_differ"});
}

TEST(Hostile, AReadyOfAnotherRunIsNoEvidenceAgainstItsSite) {
  Scene scene;
  auto loop = scene.start();
  auto road = scene.road.site(SiteId(0));
  auto header = scene.header(SiteId(0), border::MessageType::ready);
  road->deliver(scene.seal(SiteId(0), header, federation::encode(scene.ready(40))));
  auto of_another_run = header;
  of_another_run.manifest = crypto::sha256(as_bytes("another agreement"));
  EXPECT_EQ(
      refusal_of([&] {
        road->deliver(scene.seal(SiteId(0), of_another_run, federation::encode(scene.ready(50))));
      }),
      "federation.wrong_exchange");
  EXPECT_TRUE(posix_files().list(scene.folder / "journal/receipts/evidence").empty());
}

TEST(Hostile, ASecondReadyForAClosedRoundIsRefusedAndKept) {
  Drifting scene(2);
  auto road = scene.road.site(SiteId(0));
  auto header = scene.header(SiteId(0), border::MessageType::ready);
  EXPECT_EQ(refusal_of([&] {
              road->deliver(scene.seal(SiteId(0), header, federation::encode(scene.ready(90))));
            }),
            "border.equivocation");
  EXPECT_EQ(posix_files().list(scene.folder / "journal/receipts/evidence").size(), 1U);
}

/// What a member says is a piece of its state, for another one.
struct Giving : Drifting {
  Giving() : Drifting(2) {}
  std::string give(SiteId from, SiteId to, std::uint32_t index, ExchangeId exchange,
                   const Digest& manifest, std::string_view body = "a block") {
    border::Header piece = header(from, border::MessageType::state);
    piece.recipient = to;
    piece.exchange = exchange;
    piece.manifest = manifest;
    piece.index = index;
    const border::Envelope sealed = seal(from, piece, as_bytes(body));
    return refusal_of([&] { road.site(from)->deliver(sealed); });
  }
  /// Of round 0, as the coordinator closed it.
  Digest manifest() const {
    const auto log =
        ledger::read_log(posix_files(), folder / "ledger",
                         ledger::log_origin("hub", keys.log.verify_key()), keys.log.verify_key());
    for (const auto& logged : log.entries) {
      if (logged.entry.kind != "closed") continue;
      return digest_from_hex(logged.entry.at("manifest"), "ledger");
    }
    throw Bug("nothing is closed");
  }
  std::size_t entries(std::string_view kind) const {
    const auto log =
        ledger::read_log(posix_files(), folder / "ledger",
                         ledger::log_origin("hub", keys.log.verify_key()), keys.log.verify_key());
    return static_cast<std::size_t>(std::ranges::count_if(
        log.entries, [&](const auto& logged) { return logged.entry.kind == kind; }));
  }
};

TEST(Hostile, AStateUnderAnotherManifestNeitherEndsTheCoordinatorNorBarsTheDonor) {
  Giving scene;
  const Digest bogus = crypto::sha256(as_bytes("a manifest that nobody cosigned"));
  EXPECT_EQ(scene.give(SiteId(1), SiteId(2), 0, {}, bogus), "coordinator.not_passed_on");
  EXPECT_EQ(scene.give(SiteId(0), SiteId(2), 0, {}, scene.manifest()), "");
  EXPECT_EQ(scene.give(SiteId(1), SiteId(2), 0, {}, bogus), "coordinator.not_passed_on");
  EXPECT_EQ(scene.give(SiteId(1), SiteId(2), 0, {Round{1}, {}, {}}, bogus),
            "coordinator.not_passed_on");
  EXPECT_EQ(scene.give(SiteId(1), SiteId(2), 0, {Round{0}, Fragment{7}, {}}, bogus),
            "coordinator.not_passed_on");
  EXPECT_TRUE(scene.loop->turn());
  EXPECT_EQ(scene.entries("passed_on"), 1U);
}

TEST(Hostile, ASecondStateUnderOneIdentityIsRefused) {
  Giving scene;
  const Digest manifest = scene.manifest();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(scene.give(SiteId(1), SiteId(2), 3, {}, manifest, "body " + std::to_string(i)),
              i == 0 ? "" : "border.equivocation");
  }
  EXPECT_EQ(scene.entries("passed_on"), 1U);
  EXPECT_TRUE(scene.loop->turn());
}

TEST(Hostile, WhoFillsTheQueueOfARecipientDoesNotBarTheDonor) {
  Giving scene;
  const Digest manifest = scene.manifest();
  std::string last;
  for (std::uint32_t serial = 0; last.empty() && serial < 100; ++serial) {
    last = scene.give(SiteId(1), SiteId(2), serial << 24U, {}, manifest);
  }
  EXPECT_EQ(last, "coordinator.relay_full");
  EXPECT_EQ(scene.give(SiteId(0), SiteId(2), 0, {}, manifest), "");
  // Nor after a restart.
  scene.loop.reset();
  scene.loop = scene.start();
  EXPECT_EQ(scene.give(SiteId(1), SiteId(2), 99U << 24U, {}, manifest), "coordinator.relay_full");
  EXPECT_EQ(scene.give(SiteId(0), SiteId(2), 1, {}, manifest), "");
}

TEST(Hostile, ReadiesThatComeTooLateLeaveRoomForRealRefusals) {
  Scene scene(4);
  scene.deadline = milliseconds(1);
  auto loop = scene.start();
  std::vector<std::unique_ptr<border::SiteRoad>> roads;
  std::vector<std::unique_ptr<FakeSite>> sites;
  for (std::uint32_t i = 0; i < 3; ++i) {
    roads.push_back(scene.road.site(SiteId(i)));
    sites.push_back(std::make_unique<FakeSite>(
        scene.federation, SiteId(i), scene.temporary.path() / ("site-" + std::to_string(i)),
        *roads[i]));
    sites[i]->step(milliseconds(0));
  }
  while (loop->status().find("cosigning") == std::string::npos) ASSERT_TRUE(loop->turn());
  auto road = scene.road.site(SiteId(3));
  auto header = scene.header(SiteId(3), border::MessageType::ready);
  const border::Envelope late = scene.seal(SiteId(3), header, federation::encode(scene.ready(90)));
  for (int i = 0; i < 70; ++i) {
    EXPECT_EQ(refusal_of([&] { road->deliver(late); }), "federation.too_late");
  }
  header.manifest = crypto::sha256(as_bytes("another agreement"));
  EXPECT_EQ(refusal_of([&] {
              road->deliver(scene.seal(SiteId(3), header, federation::encode(scene.ready(90))));
            }),
            "federation.wrong_exchange");
  loop.reset();
  EXPECT_EQ(refusals_in_ledger(scene), std::vector<std::string>{"federation.wrong_exchange"});
}

TEST(Operator, ADamagedMessageForASiteIsNamedWithWhatToDo) {
  Giving scene;
  ASSERT_EQ(scene.give(SiteId(0), SiteId(2), 0, {}, scene.manifest()), "");
  scene.loop.reset();
  const auto path = scene.folder / "relay/site-2/0.message";
  Bytes wire = read_file(posix_files(), path);
  wire[100] ^= 1U;
  write_atomically(posix_files(), path, wire);
  EXPECT_ERROR_SAYS(scene.start(), coordinator::errors::bad_journal, "0.message");
  posix_files().remove(path);
  EXPECT_NO_THROW(scene.start());
}

TEST(Operator, ADeadlineThatCouldNeverBeOverIsRefused) {
  Scene scene;
  scene.deadline = milliseconds(1);
  EXPECT_ERROR_SAYS(scene.start(), concordat::errors::usage, "coordinator.deadline_s");
  scene.deadline = milliseconds(0);
  EXPECT_NO_THROW(scene.start());
  Scene four(4);
  four.deadline = milliseconds(1);
  EXPECT_NO_THROW(four.start());
}

TEST(Operator, AJournalOfAnotherAgreementIsRefusedBeforeAnythingIsWritten) {
  Scene scene;
  scene.start().reset();
  const auto entries = [&] { return read_file(posix_files(), scene.folder / "ledger/log.jsonl"); };
  const Bytes before = entries();
  const Federation other([](federation::RunAgreement& terms) { terms.seed += 1; });
  scene.federation.agreement = other.agreement;
  EXPECT_ERROR_SAYS(scene.start(), coordinator::errors::bad_journal, "another run");
  EXPECT_EQ(entries(), before);
}

TEST(Hostile, ASumOutOfRangeIsNotClosed) {
  Scene scene;
  auto loop = scene.start();
  std::vector<std::unique_ptr<border::SiteRoad>> roads;
  std::vector<std::unique_ptr<FakeSite>> sites;
  for (std::uint32_t i = 0; i < 3; ++i) {
    roads.push_back(scene.road.site(SiteId(i)));
    sites.push_back(std::make_unique<FakeSite>(
        scene.federation, SiteId(i), scene.temporary.path() / ("site-" + std::to_string(i)),
        *roads[i]));
  }
  sites[1]->cheats = true;
  auto run = [&] {
    for (int i = 0; i < 2000; ++i) {
      for (auto& site : sites) site->step(milliseconds(0));
      loop->turn();
    }
  };
  EXPECT_ERROR(run(), exact::errors::sum_out_of_range);
  EXPECT_TRUE(sites[0]->closings().empty());
}

TEST(Operator, TwoCoordinatorsDoNotShareAFolder) {
  Scene scene;
  auto loop = scene.start();
  EXPECT_ERROR(scene.start(), concordat::errors::in_use);
}

TEST(Operator, ASitesKeysAreNotTheCoordinators) {
  Scene scene;
  scene.keys = scene.federation.keys(SiteId(1));
  EXPECT_ERROR(scene.start(), coordinator::errors::not_coordinator);
}

TEST(Operator, ABudgetBelowThreeBlocksIsRefused) {
  Scene scene;
  border::ByteBudget small(1000);
  EXPECT_ERROR_SAYS(
      CoordinatorLoop({posix_files(), system_clock(), crypto::system_random(), scene.road, small},
                      scene.plan(), scene.keys),
      border::errors::over_budget, "coordinator.buffer_mib");
}

}  // namespace
}  // namespace concordat::coordinator::testing
