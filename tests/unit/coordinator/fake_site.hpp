// A site without a model: the real protocol machine, real envelopes and a real road, with uploads
// that are worked out from (site, round, position), so that a test knows every sum beforehand.
#pragma once

#include <atomic>
#include <deque>

#include "concordat/border/frames.hpp"
#include "concordat/border/leaf_tree.hpp"
#include "concordat/border/road.hpp"
#include "concordat/coordinator/coordinator.hpp"
#include "concordat/core/clock.hpp"
#include "concordat/federation/site_exchange.hpp"
#include "concordat/ledger/ledger.hpp"

namespace concordat::coordinator::testing {

/// Signed documents of three sites and a coordinator, and everybody's keys.
struct Federation {
  explicit Federation(const std::function<void(federation::RunAgreement&)>& change = {},
                      std::uint32_t num_sites = 3);
  federation::SignedRoster roster;
  federation::SignedAgreement agreement;
  border::PeerDirectory peers;
  /// Keys of a site, or of the coordinator.
  crypto::SiteKeys keys(SiteId id) const;
};

/// Unmasked lanes of a block of `update`, or the weight: what a site contributes.
Bytes plain_block(const federation::ExchangeTerms& terms, SiteId site, std::uint64_t position);
/// The same under pairwise masks that cancel over all participants.
Bytes masked_block(const federation::ExchangeTerms& terms, const std::vector<SiteId>& participants,
                   SiteId site, std::uint64_t position);
/// The sum of all participants' plain blocks.
Bytes summed_block(const federation::ExchangeTerms& terms, const std::vector<SiteId>& participants,
                   std::uint64_t position);

/// As a policy that permits all would decide.
ledger::Decision permitted(const border::Header& header, std::uint64_t max_bytes = 1ULL << 40U);

class FakeSite {
 public:
  FakeSite(const Federation& federation, SiteId id, std::filesystem::path folder,
           border::SiteRoad& road, FileSystem& fs = posix_files(), std::uint32_t absent_rounds = 0);
  /// Does one thing. False when there is nothing to do or the road is down.
  bool step(std::chrono::milliseconds wait);
  /// Every round closed and the last ready acknowledged.
  bool done() const { return done_; }
  Round round() const { return machine_->terms().exchange.round; }
  federation::SitePhase phase() const { return machine_->phase(); }
  /// Digests of the closing records so far.
  const std::vector<Digest>& closings() const { return closings_; }
  /// Adds one to the first lane of every upload: a member that does not do as agreed.
  bool cheats = false;
  /// From the next round on it states another model.
  bool drifts = false;

 private:
  void begin(Round round, const federation::Chain& chain);
  void perform(const federation::Effects& effects);
  void send(const federation::Send& send);
  void commit();
  bool upload();
  bool download();
  bool listen(std::chrono::milliseconds wait);
  Bytes block(std::uint64_t position) const;
  ledger::Written<ledger::Decision> decided(const border::Header& header) {
    return ledger_.write(permitted(header));
  }

  const Federation& federation_;
  SiteId id_;
  std::uint32_t absent_rounds_;  ///< first rounds for which it is not ready
  std::filesystem::path folder_;
  border::SiteRoad& road_;
  FileSystem& fs_;
  crypto::SiteKeys keys_;
  border::Identity self_;
  ledger::Ledger ledger_;
  std::optional<federation::SiteExchange> machine_;
  std::deque<border::Envelope> outgoing_;
  std::optional<border::FrameSealer> sealer_;
  std::unique_ptr<border::LeafTree> tree_;
  std::optional<border::FrameOpener> opener_;
  bool uploading_ = false;
  bool downloading_ = false;
  bool done_ = false;
  std::vector<Digest> closings_;
};

}  // namespace concordat::coordinator::testing
