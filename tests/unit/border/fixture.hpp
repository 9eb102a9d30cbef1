// Three sites and a coordinator with keys, one ledger, and a way to seal in a line.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <map>

#include "concordat/border/errors.hpp"
#include "concordat/border/frames.hpp"
#include "concordat/core/clock.hpp"
#include "concordat/core/file.hpp"
#include "concordat/crypto/merkle.hpp"
#include "concordat/ledger/ledger.hpp"

namespace concordat::border::testing {

struct TemporaryFolder {
  TemporaryFolder() {
    std::string name = ::testing::TempDir() + "border-XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

struct Party {
  crypto::SigningKey signing = crypto::SigningKey::generate(crypto::system_random());
  crypto::OpeningKey sealing = crypto::OpeningKey::generate(crypto::system_random());
  crypto::SigningKey tls = crypto::SigningKey::generate(crypto::system_random());
  crypto::SigningKey log = crypto::SigningKey::generate(crypto::system_random());
};

inline constexpr SiteId alba{0};
inline constexpr SiteId brio{1};
inline constexpr SiteId cala{2};

class World {
 public:
  World() : peers(digest_of(7)) {
    add(alba, "alba");
    add(brio, "brio");
    add(cala, "cala");
    add(coordinator_id, "hub");
    ledger_.emplace(ledger::Ledger::open(posix_files(), folder.path / "ledger", "test/ledger",
                                         parties.at(alba).log, system_clock()));
  }

  static Digest digest_of(std::uint8_t byte) {
    Digest digest;
    digest.bytes.fill(byte);
    return digest;
  }
  Identity identity(SiteId id) const {
    const Party& party = parties.at(id);
    return {id, party.signing, party.sealing};
  }
  Header header(MessageType type, SiteId from = alba, SiteId to = coordinator_id) const {
    return {.federation = peers.federation(),
            .exchange = {Round{3}, Fragment{0}, Attempt{0}},
            .manifest = digest_of(9),
            .sender = from,
            .recipient = to,
            .type = type,
            .index = 0};
  }
  /// A decision that permits exactly this, with what a test wants changed.
  ledger::Decision decision(const Header& about, std::uint64_t max_bytes = 1U << 30U) const {
    auto kind = static_cast<ledger::CrossingKind>(about.type);
    return {.kind = kind,
            .exchange = about.exchange,
            .manifest = about.manifest,
            .recipient = about.recipient,
            .max_bytes = max_bytes,
            .id = ledger::decision_id(kind, about.exchange, about.recipient, about.index),
            .permitted = true,
            .rule = "entailed",
            .reason = "test"};
  }
  /// Each call opens its own ledger entry, so that tests may seal the same thing twice.
  ledger::Written<ledger::Decision> written(const ledger::Decision& decision) {
    ledger_.emplace(ledger::Ledger::open(posix_files(),
                                         folder.path / ("ledger-" + std::to_string(++ledgers_)),
                                         "test/ledger", parties.at(alba).log, system_clock()));
    return ledger_->write(decision);
  }
  Envelope seal(const Header& about, ByteView body) {
    return seal_message(written(decision(about)), about, body, identity(about.sender), peers,
                        crypto::system_random());
  }
  OpenedMessage open(ByteView wire, SiteId at = coordinator_id) const {
    return open_message(wire, identity(at), peers);
  }

  TemporaryFolder folder;
  std::map<SiteId, Party> parties;
  PeerDirectory peers;

 private:
  void add(SiteId id, const std::string& name) {
    const Party& party = parties[id];
    peers.add(id,
              {name, party.signing.verify_key(), party.sealing.seal_key(), party.tls.verify_key()});
  }
  std::optional<ledger::Ledger> ledger_;
  unsigned ledgers_ = 0;
};

/// The blocks of a small upload with their leaves, table and an announcement.
class Upload {
 public:
  explicit Upload(std::uint64_t lanes = 1000, std::uint64_t lanes_per_block = 256,
                  std::uint8_t seed = 1) {
    table.vectors[0] = VectorShape::of(lanes, lanes_per_block, 2);
    table.vectors[1] = VectorShape::of(1, 1, 4);
    for (std::uint64_t at = 0; at < table.num_leaves(); ++at) {
      BlockPlace place = table.place(at);
      Bytes block(table.block_bytes(place));
      for (std::size_t i = 0; i < block.size(); ++i) {
        block[i] = static_cast<std::uint8_t>(seed + at * 31 + i * 7);
      }
      leaves.push_back(block_leaf(place, block));
      blocks.push_back(std::move(block));
    }
    table.root = crypto::merkle_root(leaves);
  }
  FrameHeader header() const { return {table, FrameKey::from(Bytes(32, 42)), {}}; }
  Announcement announce(World& world, const Header& about) const {
    return seal_announcement(world.written(world.decision(about)), about, header(),
                             world.identity(about.sender), world.peers, crypto::system_random());
  }
  Bytes frame(const FrameSealer& sealer, std::uint64_t at) const {
    Envelope envelope =
        sealer.seal(table.place(at), blocks[at], crypto::inclusion_path(leaves, at));
    return Bytes(envelope.wire().begin(), envelope.wire().end());
  }
  FrameTable table;
  std::vector<Bytes> blocks;
  std::vector<Digest> leaves;
};

/// The code of the Error that `act` throws; "nothing" if it throws none.
template <typename Act>
std::string code_of(Act&& act) {
  try {
    act();
  } catch (const Error& error) {
    return std::string(error.code().name);
  }
  return "nothing";
}

inline Bytes copy(ByteView view) { return Bytes(view.begin(), view.end()); }

}  // namespace concordat::border::testing
