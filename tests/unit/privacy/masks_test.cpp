#include "concordat/privacy/masks.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <vector>

#include "concordat/crypto/hash.hpp"
#include "concordat/crypto/keys.hpp"
#include "concordat/exact/philox.hpp"
#include "concordat/privacy/errors.hpp"
#include "support/expect_error.hpp"

namespace concordat::privacy {
namespace {

using exact::Lane;

constexpr Lane all_lanes[] = {Lane::u8, Lane::u16, Lane::u32};

Digest digest_of(std::string_view text) { return crypto::sha256(as_bytes(text)); }

MaskContext context_of(std::uint32_t own) {
  return {digest_of("federation"), {Round{3}, {}, {}}, digest_of("manifest"), SiteId{own}};
}

/// Seeds made the way a border makes them, from fresh X25519 keys.
std::vector<PairSeeds> seeds_of(std::uint32_t num_sites) {
  std::vector<crypto::OpeningKey> keys;
  for (std::uint32_t i = 0; i < num_sites; ++i) {
    keys.push_back(crypto::OpeningKey::generate(crypto::system_random()));
  }
  std::vector<PairSeeds> seeds(num_sites);
  for (std::uint32_t i = 0; i < num_sites; ++i) {
    for (std::uint32_t j = 0; j < num_sites; ++j) {
      if (i == j) continue;
      seeds[i].add(SiteId{j}, derive_pair_seed(keys[i].shared_secret(keys[j].seal_key())));
    }
  }
  return seeds;
}

/// Lanes at and around the ends of their range, so that masked adds wrap nearly always.
Bytes plaintext(Lane lane, std::uint64_t seed, std::size_t count, std::uint64_t limit) {
  Bytes lanes(count * exact::lane_bytes(lane));
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t word = exact::random_u32(seed, exact::Purpose::synthetic, 0, i);
    const std::uint64_t value = i % 3 == 0 ? limit : i % 3 == 1 ? 0 : word % (limit + 1);
    for (std::size_t b = 0; b < exact::lane_bytes(lane); ++b) {
      lanes[i * exact::lane_bytes(lane) + b] = static_cast<std::uint8_t>(value >> (8 * b));
    }
  }
  return lanes;
}

TEST(Masks, SumOfMaskedEqualsSumOfPlaintextForEveryLaneAndThreeToSeventeenSites) {
  for (std::uint32_t n = 3; n <= 17; ++n) {
    const std::vector<PairSeeds> seeds = seeds_of(n);
    for (const Lane lane : all_lanes) {
      // The largest code whose sum over n sites still fits: sums reach the wrap boundary itself.
      const std::uint64_t ring = (std::uint64_t{1} << static_cast<unsigned>(lane)) - 1;
      const std::size_t count = 20000;  // more than one piece in 16 and 32 bits
      Bytes plain_sum(count * exact::lane_bytes(lane), 0), masked_sum = plain_sum;
      for (std::uint32_t i = 0; i < n; ++i) {
        Bytes block = plaintext(lane, n * 100 + i, count, ring / n);
        exact::add_lanes(lane, plain_sum, block);
        const Bytes before = block;
        mask_block(context_of(i), seeds[i], update_vector, BlockIndex{5}, lane, block);
        ASSERT_NE(block, before);
        exact::add_lanes(lane, masked_sum, block);
      }
      ASSERT_EQ(plain_sum, masked_sum) << n << " sites, " << static_cast<int>(lane) << " bits";
      exact::check_range(lane, masked_sum, ring / n * n, 0);
    }
  }
}

TEST(Masks, AMaskedBlockHasNoVisibleTraceOfItsPlaintext) {
  const std::vector<PairSeeds> seeds = seeds_of(3);
  Bytes block(1U << 18U, 0);
  mask_block(context_of(1), seeds[1], update_vector, BlockIndex{0}, Lane::u8, block);
  std::vector<int> histogram(256, 0);
  for (const std::uint8_t byte : block) ++histogram[byte];
  double chi = 0;
  for (const int count : histogram) chi += (count - 1024.0) * (count - 1024.0) / 1024.0;
  EXPECT_LT(chi, 255 + 6 * 22.6);  // mean 255, standard deviation 22.6
}

/// The keystream of one pair: the mask of zeros with one peer.
Bytes keystream(const MaskContext& context, SiteId peer, std::string_view vector,
                std::uint64_t block) {
  PairSeeds seeds;
  seeds.add(peer, crypto::SecretBytes::copy_of(digest_of("a pair seed").view()));
  Bytes lanes(64, 0);
  mask_block(context, seeds, vector, BlockIndex{block}, Lane::u8, lanes);
  return lanes;
}

TEST(Masks, DifferBetweenVectorsBlocksExchangesAttemptsManifestsAndPairs) {
  std::set<Bytes> seen;
  const MaskContext base = context_of(0);
  const auto add = [&](const MaskContext& c, std::uint32_t peer, std::string_view v,
                       std::uint64_t b) {
    EXPECT_TRUE(seen.insert(keystream(c, SiteId{peer}, v, b)).second) << v << " " << b;
  };
  add(base, 1, update_vector, 0);
  add(base, 1, update_vector, 1);
  add(base, 1, update_vector, std::uint64_t{1} << 32U);
  add(base, 1, weight_vector, 0);
  add(base, 1, tag_vector, 0);
  add(base, 2, update_vector, 0);
  MaskContext changed = base;
  changed.exchange.round = Round{4};
  add(changed, 1, update_vector, 0);
  changed = base;
  changed.exchange.fragment = Fragment{1};
  add(changed, 1, update_vector, 0);
  changed = base;
  changed.exchange.attempt = Attempt{1};
  add(changed, 1, update_vector, 0);
  changed = base;
  changed.manifest = digest_of("another manifest");
  add(changed, 1, update_vector, 0);
  changed = base;
  changed.federation = digest_of("another federation");
  add(changed, 1, update_vector, 0);
}

TEST(Masks, DoNotDependOnHowTheCallerCallsTwice) {
  const Bytes once = keystream(context_of(0), SiteId{1}, update_vector, 9);
  EXPECT_EQ(once, keystream(context_of(0), SiteId{1}, update_vector, 9));
  // The two ends of a pair cancel: what one adds the other subtracts.
  Bytes other = keystream(context_of(1), SiteId{0}, update_vector, 9);
  exact::add_lanes(Lane::u8, other, once);
  EXPECT_EQ(other, Bytes(64, 0));
}

// Fixed bytes, so that two builds of different age cancel. From tests/unit/privacy/mask_model.py.
TEST(Masks, HaveTheBytesOfTheFormatPage) {
  EXPECT_EQ(to_hex(ByteView(keystream(context_of(0), SiteId{1}, update_vector, 7)).first(16)),
            "13c930482620bf1e412eb8b035c5cf90");
}

TEST(Masks, AreRefusedWithoutSeedsOrWithTheSitesOwn) {
  Bytes lanes(16, 0);
  EXPECT_ERROR(
      mask_block(context_of(0), PairSeeds{}, update_vector, BlockIndex{0}, Lane::u8, lanes),
      errors::seeds);
  EXPECT_EQ(lanes, Bytes(16, 0));
  PairSeeds own;
  own.add(SiteId{0}, crypto::SecretBytes(32));
  EXPECT_ERROR(mask_block(context_of(0), own, update_vector, BlockIndex{0}, Lane::u8, lanes),
               errors::seeds);
  PairSeeds seeds;
  EXPECT_ERROR(seeds.add(SiteId{1}, crypto::SecretBytes(31)), errors::seeds);
  seeds.add(SiteId{1}, crypto::SecretBytes(32));
  EXPECT_ERROR(seeds.add(SiteId{1}, crypto::SecretBytes(32)), errors::seeds);
}

TEST(Masks, TakeOnePassOfTheCipherPerPeer) {
  const std::vector<PairSeeds> seeds = seeds_of(3);
  Bytes block(2U << 20U, 1);
  const auto begin = std::chrono::steady_clock::now();
  constexpr int repeats = 10;
  for (int i = 0; i < repeats; ++i) {
    mask_block(context_of(1), seeds[1], update_vector, BlockIndex{0}, Lane::u16, block);
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  RecordProperty("gigabytes_per_second", std::to_string(2.097152e-3 * repeats / seconds));
  EXPECT_LT(seconds, 5.0);
}

}  // namespace
}  // namespace concordat::privacy
