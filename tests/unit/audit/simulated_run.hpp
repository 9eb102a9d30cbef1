// The ledgers of a three-site run as an honest federation would write them, with a hook that lies.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "concordat/audit/audit.hpp"
#include "concordat/core/clock.hpp"
#include "concordat/ledger/ledger.hpp"
#include "support/faulty_files.hpp"

namespace concordat::audit::testing {

class StillClock final : public Clock {
 public:
  std::chrono::nanoseconds monotonic() const override { return {}; }
  std::int64_t unix_seconds() const override { return 1'760'000'000; }
  void sleep(std::chrono::nanoseconds) override {}
};

/// A digest that stands for some object: the same text, the same digest.
Digest digest_of(const std::string& text);

class SimulatedRun {
 public:
  /// Sees each entry before its party writes it; changes it, or returns false to leave it out.
  using Lie = std::function<bool(SiteId party, ledger::Entry& entry)>;

  explicit SimulatedRun(std::filesystem::path folder, Lie lie = {}, std::uint32_t site_count = 3);
  ~SimulatedRun();

  /// Rounds 0 to rounds - 1 from ready to closed, then the ready that proves the final state;
  /// every party signs its head at the end.
  void play(std::uint32_t rounds);
  /// The round of the given number up to and with `last` (a message type), unsigned.
  void play_until(std::uint32_t round, ledger::CrossingKind last);
  /// A site says that it is ready for a round that begins without it.
  void say_late_ready(std::uint32_t round, SiteId site);
  /// One site gives another its state of a closed round, over the coordinator.
  void give_state(std::uint32_t round, SiteId from, SiteId to);
  /// A site goes on without the aggregate of a round; `party` says so.
  void forgo(SiteId party, std::uint32_t round, SiteId site);
  void sign_all();
  /// The rounds that follow go without this site; nullopt: with all.
  void go_without(std::optional<SiteId> site) { missing_ = site; }
  /// What follows belongs to the run of another agreement.
  void start_another_run(std::string agreement) { agreement_ = std::move(agreement); }

  AuditInput input() const;
  AuditReport audit() const { return run_audit(posix_files(), input()); }
  std::filesystem::path log_file(SiteId party) const;
  std::filesystem::path checkpoint_file(SiteId party) const;
  ledger::Ledger& ledger(SiteId party) { return parties_.at(party)->ledger; }
  const crypto::SigningKey& key(SiteId party) const { return parties_.at(party)->key; }

 private:
  struct Party {
    Party(SiteId id, FileSystem& fs, const std::filesystem::path& folder, std::uint8_t seed,
          Clock& clock);
    std::string name;
    crypto::SigningKey key;  ///< of the log
    crypto::SigningKey signing;
    ledger::Ledger ledger;
  };
  void append(SiteId party, ledger::Entry entry);
  void agree();
  void cross(ledger::CrossingKind kind, SiteId from, SiteId to, const ledger::Fields& facts);
  std::vector<SiteId> participants() const;
  void to_all(ledger::CrossingKind kind, const ledger::Fields& facts);
  void from_all(ledger::CrossingKind kind, const std::function<ledger::Fields(SiteId)>& facts);
  crypto::Signature sign(SiteId site, const Bytes& statement) const {
    return parties_.at(site)->signing.sign(statement);
  }
  ledger::Fields ready_of(SiteId site);
  std::string scope() const { return std::to_string(round_); }

  std::filesystem::path folder_;
  Lie lie_;
  testing_support::FaultyFiles files_;  ///< leaves real syncs out
  StillClock clock_;
  std::map<SiteId, std::unique_ptr<Party>> parties_;
  std::vector<SiteId> sites_;
  std::optional<SiteId> missing_;
  std::map<SiteId, ledger::Head> heads_;
  std::string agreement_ = "agreement";
  std::uint32_t round_ = 0;
};

/// The party leaves out the entry with this key.
SimulatedRun::Lie leave_out(SiteId liar, std::string key);

inline constexpr std::uint32_t num_sites = 3;

}  // namespace concordat::audit::testing
