// Three real borders, a real coordinator and ranks that write known numbers, in one process over
// the loopback road: whole runs whose every sum a test knows beforehand. One thread turns all.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>

#include "concordat/border/errors.hpp"
#include "concordat/border/loopback.hpp"
#include "concordat/coordinator/coordinator.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/site/border_loop.hpp"
#include "site/run_folder.hpp"
#include "support/faulty_files.hpp"
#include "support/fixed_random.hpp"
#include "support/temporary_folder.hpp"
#include "unit/site/test_clock.hpp"

namespace concordat::site::testing {

inline crypto::SiteKeys keys_of(const std::string& name) {
  auto seed = [&](const char* purpose) {
    Digest digest = crypto::sha256(as_bytes(name + purpose));
    return Bytes(digest.bytes.begin(), digest.bytes.end());
  };
  return {name,
          crypto::SigningKey::from_seed(seed("signing")),
          crypto::OpeningKey::from_private(seed("sealing")),
          crypto::SigningKey::from_seed(seed("tls")),
          crypto::SigningKey::from_seed(seed("log")),
          crypto::SecretBytes::copy_of(seed("data")),
          crypto::SecretBytes::copy_of(seed("rounding"))};
}

/// The ranks of one site: they write code points that are worked out from site, round and index.
class KnownRanks {
 public:
  KnownRanks(FileSystem& fs, FileSystem::Path run, SiteId id,
             const federation::RunAgreement& terms);
  /// One look at the run folder. @throws test failures through gtest.
  void step();
  bool done() const { return round_ == agreement_.rounds && key_written_; }
  /// A job that starts again: another key, and what it is told with it.
  RankSecrets ask_again(const ExchangeId& exchange, const std::function<void()>& turn);
  std::uint32_t round() const { return round_; }
  /// Rounds that went on without this site.
  std::uint32_t missed() const { return missed_; }
  bool away = false;             ///< no job runs
  bool hold_commit = false;      ///< stops before COMMIT
  bool exceed = false;           ///< writes code points far outside the quantiser's range
  bool lose_generation = false;  ///< commits a generation that is not there
  RunFolder& folder() { return folder_; }

  static std::uint16_t code(SiteId site, std::uint32_t round, std::uint64_t index);
  static std::uint32_t weight(SiteId site) { return 100 + site.value(); }
  Digest state() const;
  /// What all sites share at the beginning of a round: "model", "m" and "scales".
  static std::vector<float> outer(const std::string& vector, std::uint32_t round);
  static Digest state_of(std::uint32_t round);
  /// A generation with that in it, as a training job would have saved it.
  void keep_generation(std::uint32_t round);
  /// A job that starts from the state of this round.
  void begin_at(std::uint32_t round) {
    round_ = round;
    donated_ = round;
    key_written_ = false;
  }

 private:
  ExchangeId exchange() const { return {Round{round_}, {}, {}}; }
  void write_key();
  void commit(const RankSecrets& secrets);
  void check_aggregate(const ClosedRecord& closed);

  RunFolder folder_;
  SiteId id_;
  const federation::RunAgreement& agreement_;
  std::uint32_t round_ = 0;
  std::uint32_t missed_ = 0;
  std::optional<std::uint32_t> donated_{};  ///< its outer step needs no secrets, whoever took part
  bool key_written_ = false;
  std::string nonce_;
  std::optional<crypto::OpeningKey> key_;
};

/// A road whose next answers come damaged, as from a coordinator that lies, or take their time.
class DamagedRoad final : public border::SiteRoad {
 public:
  explicit DamagedRoad(border::SiteRoad& road) : road_(road) {}
  bool damage_message = false;
  bool damage_frame = false;
  std::string refuse_with;  ///< the next delivery is refused, once, with this in the code's place
  int acknowledged = 0;
  int waits = 0;         ///< how often each call says that there is no answer yet
  bool overdue = false;  ///< the next call that waits says that this takes too long, once

  Manner manner() const override { return {.answers_at_once = waits == 0}; }
  void deliver(const border::Envelope& message) override {
    take_time();
    if (!refuse_with.empty()) {
      throw Error(border::errors::peer_refused, {.what = "refused, saying \"core.disk_full\"",
                                                 .where = "a road",
                                                 .found = std::exchange(refuse_with, ""),
                                                 .expected = "an acknowledgement",
                                                 .remedy = "core.io_failed"});
    }
    road_.deliver(message);
  }
  std::optional<Bytes> fetch(std::chrono::milliseconds wait) override {
    if (++fetched_ <= waits) return std::nullopt;
    fetched_ = 0;
    auto wire = road_.fetch(wait);
    if (wire && damage_message) wire->back() ^= 1U;
    return wire;
  }
  void acknowledge(const Digest& message) override {
    ++acknowledged;
    road_.acknowledge(message);
  }
  std::uint64_t upload_position(const ExchangeId& exchange) override {
    if (waits == 0) return road_.upload_position(exchange);
    if (flushing_) return flush_blocks(exchange);
    if (position_ && position_->first == exchange) return position_->second;
    take_time();
    return position_.emplace(exchange, road_.upload_position(exchange)).second;
  }
  void deliver_block(const border::Envelope& frame) override {
    handed_over_ = true;
    road_.deliver_block(frame);
  }
  std::uint64_t flush_blocks(const ExchangeId& exchange) override {
    if (waits > 0 && !std::exchange(handed_over_, false) && !flushing_) {
      return upload_position(exchange);
    }
    flushing_ = true;
    take_time();
    flushing_ = false;
    return position_.emplace(exchange, road_.flush_blocks(exchange)).second;
  }
  void fetch_blocks(const ExchangeId& exchange, std::uint64_t first, std::uint64_t last,
                    const std::function<void(ByteView wire)>& take) override {
    take_time();
    road_.fetch_blocks(exchange, first, last, [&](ByteView wire) {
      Bytes bytes(wire.begin(), wire.end());
      if (damage_frame) bytes[bytes.size() / 2] ^= 1U;
      take(bytes);
    });
  }
  void stop() override { road_.stop(); }

 private:
  void take_time() {
    if (std::exchange(overdue, false)) {
      throw Error(border::errors::road_down, {.what = "the answer is overdue", .where = "a road"});
    }
    if (++waited_ <= waits) {
      throw Error(border::errors::road_waits, {.what = "no answer yet", .where = "a road"});
    }
    waited_ = 0;
  }
  border::SiteRoad& road_;
  int waited_ = 0;
  int fetched_ = 0;
  bool flushing_ = false;
  bool handed_over_ = false;
  std::optional<std::pair<ExchangeId, std::uint64_t>> position_;
};

class BorderWorld {
 public:
  explicit BorderWorld(std::uint32_t rounds, std::uint32_t num_sites = 3,
                       std::chrono::milliseconds deadline = {}, std::uint32_t keep_rounds = 32);
  ~BorderWorld();

  /// Everybody does one thing. A border that a fault killed is left dead.
  void turn();
  /// Turns until every border has ended, restarting the dead; fails after `limit` turns.
  void run_to_end(int limit = 20'000);
  void turn_until(const std::function<bool()>& condition, int limit = 5'000);
  void start_border(std::uint32_t site);
  void stop_border(std::uint32_t site) { borders[site].reset(); }
  void start_hub();
  FileSystem::Path site_folder(std::uint32_t site) const;
  /// The audit of all ledgers; empty if everything verifies.
  std::string audit() const;

  testing_support::TemporaryFolder root;
  std::vector<std::unique_ptr<testing_support::FaultyFiles>> files;  ///< by site
  testing_support::FaultyFiles hub_files;
  TestClock clock;
  std::vector<crypto::SiteKeys> keys;  ///< by site, then the coordinator's
  federation::SignedRoster roster;
  federation::SignedAgreement agreement;
  std::chrono::milliseconds deadline;
  std::uint32_t keep_rounds;
  std::map<std::uint32_t, SiteId> donor;                   ///< by site; for borders that start
  std::map<std::uint32_t, std::vector<SiteId>> donate_to;  ///< the same
  std::uint64_t hash_per_turn_bytes = 16U << 20U;          ///< the same
  border::LoopbackRoad road;
  border::ByteBudget budget{4U << 20U};
  std::vector<std::unique_ptr<border::SiteRoad>> ends;
  std::vector<std::unique_ptr<DamagedRoad>> roads;  ///< over `ends`; honest unless told otherwise
  std::vector<std::unique_ptr<BorderLoop>> borders;
  std::vector<bool> ended;  ///< turn() was false with exit code 0
  std::vector<KnownRanks> ranks;
  std::unique_ptr<coordinator::CoordinatorLoop> hub;
  bool hub_ended = false;
  int crashes = 0;
};

}  // namespace concordat::site::testing
