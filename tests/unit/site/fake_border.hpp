// A border without a road: it answers key files, adds the sites' blocks and closes exchanges, so
// that the ranks' half of the run folder is tested alone.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <set>
#include <thread>
#include <vector>

#include "concordat/border/frames.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/crypto/merkle.hpp"
#include "site/run_folder.hpp"
#include "toy_site.hpp"

namespace concordat::site {

inline Digest digest_of(std::string_view text) { return crypto::sha256(as_bytes(text)); }

inline ExchangeId exchange_in(std::uint32_t round) { return {Round{round}, {}, {}}; }

class FakeBorders {
 public:
  explicit FakeBorders(const std::vector<FileSystem::Path>& runs) { restart(runs); }
  /// Opens the run folders afresh: creates those that were removed.
  void restart(const std::vector<FileSystem::Path>& runs) {
    folders_.clear();
    for (const auto& run : runs) folders_.emplace_back(quick_files(), run);
  }

  RunFolder& folder(std::size_t site) { return folders_[site]; }
  static Digest manifest_of(std::uint32_t round) {
    return digest_of("manifest " + std::to_string(round));
  }

  /// What site `i` gets in `round`; the rounding key depends on site and round alone.
  RankSecrets secrets(std::size_t i, std::uint32_t round, bool with_seeds) {
    RankSecrets result;
    result.federation = digest_of("federation");
    result.manifest = manifest_of(round);
    result.own = SiteId{static_cast<std::uint32_t>(i)};
    const std::vector<crypto::OpeningKey>& keys = keys_of(round);
    for (std::size_t j = 0; j < folders_.size(); ++j) {
      const SiteId peer{static_cast<std::uint32_t>(j)};
      result.participants.push_back(peer);
      if (j == i || !with_seeds) continue;
      result.seeds.add(peer, privacy::derive_pair_seed(keys[i].shared_secret(keys[j].seal_key())));
    }
    result.rounding_key = crypto::SecretBytes::copy_of(
        digest_of("rounding " + std::to_string(i) + " " + std::to_string(round)).view());
    return result;
  }

  /// Answers every key of the round that has no answer.
  void answer(std::uint32_t round) {
    const ExchangeId id = exchange_in(round);
    for (std::size_t i = 0; i < folders_.size(); ++i) {
      for (const std::string& nonce : folders_[i].key_nonces(id)) {
        if (folders_[i].has_secrets(id, nonce)) continue;
        const KeyFile key = folders_[i].read_key(id, nonce);
        state_digests[round].insert(key.state_digest);
        folders_[i].write_secrets(
            id, nonce,
            seal_secrets(id, nonce, key.public_key, secrets(i, round, !folders_[i].has_commit(id)),
                         crypto::system_random()));
      }
    }
  }

  bool all_committed(std::uint32_t round) {
    for (RunFolder& folder : folders_) {
      if (!folder.has_commit(exchange_in(round))) return false;
    }
    return true;
  }

  /// All blocks of one site's upload, and its weight lane.
  std::pair<Bytes, Bytes> read_upload(std::size_t i, std::uint32_t round) {
    const ExchangeId id = exchange_in(round);
    const CommitRecord commit = *folders_[i].read_commit(id);
    Bytes all;
    for (std::size_t rank = 0; rank < commit.ranges.size(); ++rank) {
      const Bytes part = read_file(
          quick_files(), folders_[i].blocks_file(id, commit.try_nonce, static_cast<int>(rank)));
      all.insert(all.end(), part.begin(), part.end());
    }
    return {all, read_file(quick_files(), folders_[i].weight_file(id, commit.try_nonce))};
  }

  /// Writes aggregate and CLOSED into one site's inbox.
  void close(std::size_t i, std::uint32_t round, const Bytes& sums, const Bytes& weight) {
    close(i, round, sums, weight, *folders_[i].read_commit(exchange_in(round)), true);
  }
  /// The same of an exchange that went without the site, of a model with 49,000 elements.
  void close_without(std::size_t i, std::uint32_t round, const Bytes& sums, const Bytes& weight,
                     const Digest& state) {
    CommitRecord shape;
    shape.state_digest = state;
    shape.lane = toy_terms().quantiser_of(Round{round}).lane;
    shape.block_log2 = toy_terms().block_log2;
    shape.num_elements = 49'000;
    shape.leaves.resize(3);
    close(i, round, sums, weight, shape, false);
  }
  void close(std::size_t i, std::uint32_t round, const Bytes& sums, const Bytes& weight,
             const CommitRecord& commit, bool took_part) {
    const ExchangeId id = exchange_in(round);
    std::vector<Digest> leaves;
    std::size_t at = 0;
    for (std::uint64_t b = 0; b < commit.leaves.size(); ++b) {
      const std::size_t size = block_bytes(commit.num_elements, commit.block_log2, commit.lane, b);
      leaves.push_back(
          border::block_leaf({border::BlockVector::update, b}, ByteView(sums).subspan(at, size)));
      at += size;
    }
    leaves.push_back(border::block_leaf({border::BlockVector::weight, 0}, weight));
    Bytes leaf_bytes;
    for (const Digest& leaf : leaves) {
      leaf_bytes.insert(leaf_bytes.end(), leaf.bytes.begin(), leaf.bytes.end());
    }
    FileSystem& fs = quick_files();
    fs.make_directories(folders_[i].inbox(id));
    write_atomically(fs, folders_[i].aggregate_blocks(id), sums);
    write_atomically(fs, folders_[i].aggregate_weight(id), weight);
    write_atomically(fs, folders_[i].aggregate_leaves(id), leaf_bytes);
    ClosedRecord closed{manifest_of(round), {}, 0, crypto::merkle_root(leaves)};
    for (std::size_t j = 0; j < folders_.size(); ++j) {
      closed.survivors.push_back(SiteId{static_cast<std::uint32_t>(j)});
    }
    ByteReader in(weight, "weight");
    closed.total_weight = in.u32();
    closed.state_digest = commit.state_digest;
    closed.took_part = took_part;
    if (!took_part) closed.survivors = {SiteId{7}, SiteId{8}, SiteId{9}};
    folders_[i].write_closed(id, closed);
  }

  /// Adds all uploads and closes the exchange at every site.
  void sum_and_close(std::uint32_t round) {
    auto [sums, weight] = read_upload(0, round);
    const exact::Lane lane = folders_[0].read_commit(exchange_in(round))->lane;
    for (std::size_t i = 1; i < folders_.size(); ++i) {
      const auto [more, more_weight] = read_upload(i, round);
      exact::add_lanes(lane, sums, more);
      exact::add_lanes(exact::Lane::u32, weight, more_weight);
    }
    for (std::size_t i = 0; i < folders_.size(); ++i) close(i, round, sums, weight);
  }

  /// Serves rounds 0 to rounds-1 until stopped.
  void serve(std::uint32_t rounds) {
    std::uint32_t round = 0;
    while (!stop) {
      for (std::uint32_t r = round > 0 ? round - 1 : 0; r <= round; ++r) answer(r);
      if (round < rounds && all_committed(round)) sum_and_close(round++);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  std::atomic<bool> stop{false};
  /// By round, the state digests that the sites' keys named.
  std::map<std::uint32_t, std::set<Digest>> state_digests;

 private:
  const std::vector<crypto::OpeningKey>& keys_of(std::uint32_t round) {
    std::vector<crypto::OpeningKey>& keys = keys_[round];
    while (keys.size() < folders_.size()) {
      keys.push_back(crypto::OpeningKey::generate(crypto::system_random()));
    }
    return keys;
  }
  std::vector<RunFolder> folders_;
  std::map<std::uint32_t, std::vector<crypto::OpeningKey>> keys_;
};

}  // namespace concordat::site
