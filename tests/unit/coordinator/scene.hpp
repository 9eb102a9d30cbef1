// What the tests of hostile members and of operators start from: a real coordinator on a folder of
// its own, and whatever anybody might seal for it.
#pragma once

#include <gtest/gtest.h>

#include "concordat/border/errors.hpp"
#include "concordat/border/loopback.hpp"
#include "concordat/coordinator/errors.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/ledger/verify.hpp"
#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"
#include "unit/coordinator/fake_site.hpp"

namespace concordat::coordinator::testing {

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
    return border::seal_message(ledger.write(permitted(header, 1U << 20U)), header, body, self,
                                federation.peers, crypto::system_random());
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

/// Rules of the refusals in the coordinator's ledger. @pre no coordinator runs.
inline std::vector<std::string> refusals_in_ledger(const Scene& scene) {
  auto log = ledger::read_log(posix_files(), scene.folder / "ledger",
                              ledger::log_origin("hub", scene.keys.log.verify_key()),
                              scene.keys.log.verify_key());
  std::vector<std::string> rules;
  for (const auto& logged : log.entries) {
    if (logged.entry.kind == "refusal") rules.push_back(logged.entry.at("rule"));
  }
  return rules;
}

/// Round 0 is closed, and one of three sites then states another model.
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

}  // namespace concordat::coordinator::testing
