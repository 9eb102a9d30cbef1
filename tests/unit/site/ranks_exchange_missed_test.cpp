// Rounds that went on without the site.
#include <gtest/gtest.h>

#include "concordat/site/errors.hpp"
#include "one_site.hpp"
#include "support/expect_error.hpp"

namespace concordat::site {
namespace {

// The outer step of a round that went without the site: the shared model is that of the others, and
// what the site had trained is still ahead of it.
TEST_F(OneSite, AMissedRoundMovesTheSharedModelAndKeepsWhatWasTrained) {
  std::mutex mutex;
  std::map<std::size_t, Digest> digests;
  std::map<std::size_t, std::vector<float>> weights;
  // Two sites: one had no job, the other trained in vain, and in another layout.
  for (const std::size_t site : {0U, 1U}) {
    const SiteShape shape = site == 0 ? SiteShape{1, 1} : SiteShape{2, 2};
    comm::run_threads(shape.ranks, [&](comm::Communicator& comm) {
      ToyRank rank(comm, runs[site], toy_terms(), shape.tp);
      rank.start();
      EXPECT_FALSE(rank.exchange.missed());
      EXPECT_FALSE(rank.exchange.seems_over());
      const Digest before = rank.exchange.state_digest();
      if (site == 1) rank.inner_steps(site);
      if (comm.rank() == 0) {
        borders.close_without(site, 0, plausible_sums(), weight, before);
      }
      comm.barrier();
      EXPECT_TRUE(rank.exchange.seems_over());
      ASSERT_TRUE(rank.exchange.missed());
      rank.exchange.catch_up(rank.weights());
      EXPECT_EQ(rank.exchange.round(), Round{1});
      EXPECT_FALSE(rank.exchange.missed());
      const Outcome mine = outcome_of(comm, rank);
      EXPECT_NE(mine.digest, before);
      const std::lock_guard lock(mutex);
      digests[site] = mine.digest;
      weights[site] = mine.weights;
    });
  }
  EXPECT_EQ(digests[0], digests[1]);
  for (std::size_t index = 0; index < weights[0].size(); index += 41) {
    ASSERT_NEAR(weights[1][index] - weights[0][index],
                -toy_update(1, 0, static_cast<std::int64_t>(index)), 1e-6)
        << index;
  }
}

TEST_F(OneSite, AWaitForSecretsEndsWhenTheRoundWentWithoutTheSite) {
  run([&](ToyRank& rank, comm::Communicator& comm) {
    const Digest state = rank.exchange.state_digest();
    if (comm.rank() == 0) borders.close_without(0, 0, plausible_sums(), weight, state);
    comm.barrier();
    EXPECT_EQ(rank.exchange.run(rank.weights(), 600, "step-1", nullptr), ExchangeEnd::missed);
    EXPECT_FALSE(rank.exchange.committed());
    EXPECT_EQ(rank.exchange.round(), Round{0});
  });
}

TEST_F(OneSite, AMissedRoundOfAnotherStateIsRefused) {
  run([&](ToyRank& rank, comm::Communicator& comm) {
    const Digest state = rank.exchange.state_digest();
    if (comm.rank() == 0) {
      borders.close_without(0, 0, plausible_sums(), weight, digest_of("another state"));
    }
    comm.barrier();
    EXPECT_ERROR_SAYS(rank.exchange.catch_up(rank.weights()), errors::state_differs,
                      "another state");
    rank.exchange.resume(Round{0});
    EXPECT_EQ(rank.exchange.state_digest(), state);
  });
}

}  // namespace
}  // namespace concordat::site
