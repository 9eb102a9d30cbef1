#include "concordat/site/ranks_exchange.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <mutex>

#include "concordat/exact/errors.hpp"
#include "concordat/site/errors.hpp"
#include "one_site.hpp"
#include "support/expect_error.hpp"
#include "unit/checkpoint/forwarding_files.hpp"

namespace concordat::site {
namespace {

using testing_support::TemporaryFolder;

/// Runs a whole federation of toy sites, each a group of threads.
std::vector<Outcome> run_federation(const std::vector<SiteShape>& shapes, std::uint32_t rounds,
                                    const OuterTerms& terms) {
  std::vector<TemporaryFolder> homes(shapes.size());
  std::vector<FileSystem::Path> runs;
  for (const auto& home : homes) runs.push_back(home.path() / "run");
  FakeBorders borders(runs);
  std::thread border([&] { borders.serve(rounds); });
  std::vector<Outcome> outcomes(shapes.size());
  std::vector<std::thread> sites;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    sites.emplace_back([&, i] {
      comm::run_threads(shapes[i].ranks, [&](comm::Communicator& comm) {
        ToyRank rank(comm, runs[i], terms, shapes[i].tp);
        rank.start();
        rank.exchange.announce("none");
        while (rank.exchange.round().value() < rounds) {
          rank.inner_steps(i);
          const auto tokens = 400 + 100 * static_cast<std::uint64_t>(i);
          ASSERT_EQ(rank.exchange.run(rank.weights(), tokens, "step-1", nullptr),
                    ExchangeEnd::closed);
          rank.exchange.announce("step-1");
        }
        const Outcome mine = outcome_of(comm, rank);
        if (comm.rank() == 0) outcomes[i] = mine;
      });
    });
  }
  for (std::thread& site : sites) site.join();
  borders.stop = true;
  border.join();
  for (const auto& [round, digests] : borders.state_digests) {
    EXPECT_EQ(digests.size(), 1U) << "round " << round;
  }
  return outcomes;
}

TEST(RanksExchange, SitesWithDifferentRankCountsAndLayoutsReachOneState) {
  const auto first = run_federation({{1, 1}, {2, 2}, {3, 1}}, 3, toy_terms());
  EXPECT_EQ(first[0].digest, first[1].digest);
  EXPECT_EQ(first[0].digest, first[2].digest);
  EXPECT_EQ(first[0].weights, first[1].weights);
  EXPECT_EQ(first[0].weights, first[2].weights);
  // And the same state again when the ranks are dealt out otherwise: masks and slices leave no
  // trace. Four ranks share three blocks, so one has none.
  const auto second = run_federation({{3, 1}, {1, 1}, {4, 2}}, 3, toy_terms());
  EXPECT_EQ(first[0].digest, second[0].digest);
  EXPECT_EQ(first[0].weights, second[2].weights);
}

TEST(RanksExchange, FollowsTheWeightedMeanOfTheUpdates) {
  OuterTerms terms = toy_terms();
  terms.outer = {.kind = exact::OuterKind::fedavg, .eta = 1.0F};
  terms.later_rounds = terms.first_round;
  const std::uint32_t rounds = 3;
  const auto outcomes = run_federation({{1, 1}, {2, 1}, {1, 1}}, rounds, terms);
  const double tokens[] = {400, 500, 600};
  for (std::size_t index = 0; index < outcomes[0].weights.size(); index += 37) {
    float start = 0;
    exact::initialise_normal(1, 0, index, {&start, 1}, 0.02F);
    double expected = static_cast<double>(start);
    for (std::uint32_t round = 0; round < rounds; ++round) {
      for (std::size_t site = 0; site < 3; ++site) {
        expected -= tokens[site] / 1500 *
                    static_cast<double>(toy_update(site, round, static_cast<std::int64_t>(index)));
      }
    }
    // 8 bits over +-0.05: a code is 4e-4 wide and counts w_cap * n / W = 2 times; feedback keeps
    // the error of all rounds below about two codes.
    ASSERT_NEAR(outcomes[0].weights[index], expected, 2e-3) << index;
  }
}

TEST(InitialStateDigest, IsThatOfTheFirstAnnouncementOnEveryLayout) {
  const TemporaryFolder home;
  std::set<Digest> digests;
  std::mutex mutex;
  for (const SiteShape shape : {SiteShape{1, 1}, {2, 2}, {3, 1}}) {
    comm::run_threads(shape.ranks, [&](comm::Communicator& comm) {
      ToyRank rank(comm, home.path() / "run", toy_terms(), shape.tp);
      rank.start();
      const Digest digest =
          initial_state_digest(comm, toy_terms(), rank.space(), rank.layout(), rank.weights());
      const Digest announced = rank.exchange.state_digest();
      const std::lock_guard lock(mutex);
      digests.insert(digest);
      digests.insert(announced);
    });
  }
  EXPECT_EQ(digests.size(), 1U);
}

TEST_F(OneSite, StopsWhileItWaitsForSecretsWithNothingWritten) {
  run([&](ToyRank& rank, comm::Communicator&) {
    EXPECT_EQ(rank.exchange.run(rank.weights(), 600, "step-1", [] { return true; }),
              ExchangeEnd::stopped);
    EXPECT_FALSE(rank.exchange.committed());
    EXPECT_EQ(rank.exchange.round(), Round{0});
  });
}

/// A border closes the exchange between two looks at its answer, so many times.
class VanishingAnswer final : public testing_support::ForwardingFiles {
 public:
  bool exists(const Path& path) override {
    const bool found = real_.exists(path);
    if (found && path.filename().string().starts_with("secrets-") && times-- > 0) {
      real_.remove(path);
    }
    return found;
  }
  std::atomic<int> times = 2;
};

TEST_F(OneSite, AnAnswerThatIsTakenAwayIsWaitedForAgain) {
  VanishingAnswer files;
  comm::run_threads(2, [&](comm::Communicator& comm) {
    ToyRank rank(comm, runs[0], toy_terms(), 1, files);
    rank.start();
    rank.exchange.announce("none");
    answer(comm);
    const auto end = rank.exchange.run(rank.weights(), 600, "step-1", [&] {
      answer(comm);
      return rank.exchange.committed();
    });
    EXPECT_EQ(end, ExchangeEnd::stopped);
    EXPECT_TRUE(rank.exchange.committed());
  });
  EXPECT_LT(files.times, 0);
}

TEST_F(OneSite, ARestartAfterTheCommitEndsWithTheBitsOfAnUndisturbedRun) {
  Digest undisturbed, restarted;
  std::vector<Tensor> errors(2), errors_again(2);
  for (const bool disturbed : {false, true}) {
    quick_files().remove_all(runs[0]);
    borders.restart(runs);
    std::vector<std::vector<Bytes>> saved(2);
    const auto each_state = [](ToyRank& rank, const std::function<void(Tensor)>& f) {
      for (const auto& named : rank.exchange.named_state()) {
        if (!named.local.empty()) f(named.local);
      }
    };
    run([&](ToyRank& rank, comm::Communicator& comm) {
      const auto me = static_cast<std::size_t>(comm.rank());
      rank.inner_steps(0);
      each_state(rank, [&](const Tensor& t) {
        const auto* bytes = reinterpret_cast<const std::uint8_t*>(t.raw_bytes());
        saved[me].emplace_back(bytes, bytes + t.size_bytes());
      });
      answer(comm);
      EXPECT_EQ(rank.exchange.run(rank.weights(), 600, "step-1", once_committed(rank)),
                ExchangeEnd::stopped);
      comm.barrier();
      if (comm.rank() == 0) borders.close(0, 0, plausible_sums(), weight);
      comm.barrier();
      if (disturbed) return;
      answer(comm);
      EXPECT_EQ(rank.exchange.run(rank.weights(), 600, "step-1", nullptr), ExchangeEnd::closed);
      const Digest digest = rank.exchange.state_digest();
      if (comm.rank() == 0) undisturbed = digest;
      errors[me] = rank.exchange.named_state()[2].local;
    });
    if (!disturbed) continue;
    const CommitRecord before = *borders.folder(0).read_commit(exchange_in(0));
    run([&](ToyRank& rank, comm::Communicator& comm) {
      const auto me = static_cast<std::size_t>(comm.rank());
      rank.inner_steps(0);
      std::size_t i = 0;
      each_state(rank, [&](const Tensor& t) {
        std::memcpy(t.raw_bytes(), saved[me][i].data(), t.size_bytes());
        ++i;
      });
      rank.exchange.resume(Round{0});
      answer(comm);
      EXPECT_EQ(rank.exchange.run(rank.weights(), 600, "step-1", nullptr), ExchangeEnd::closed);
      const Digest digest = rank.exchange.state_digest();
      if (comm.rank() == 0) restarted = digest;
      errors_again[me] = rank.exchange.named_state()[2].local;
    });
    EXPECT_EQ(*borders.folder(0).read_commit(exchange_in(0)), before) << "masked twice";
  }
  EXPECT_EQ(undisturbed, restarted);
  for (std::size_t r = 0; r < 2; ++r) {
    ASSERT_EQ(errors[r].size_bytes(), errors_again[r].size_bytes());
    EXPECT_EQ(
        std::memcmp(errors[r].raw_bytes(), errors_again[r].raw_bytes(), errors[r].size_bytes()), 0);
  }
}

TEST_F(OneSite, ANanEndsOnEveryRankWithTheCanonicalIndexAndNoCommit) {
  run([&](ToyRank& rank, comm::Communicator& comm) {
    for_each_element(rank.layout(), rank.weights(), [](std::int64_t index, float& w) {
      if (index == 40001) w = std::numeric_limits<float>::quiet_NaN();
    });
    answer(comm);
    EXPECT_ERROR_SAYS(rank.exchange.run(rank.weights(), 600, "step-1", nullptr),
                      exact::errors::not_finite, "canonical index 40001");
    EXPECT_FALSE(rank.exchange.committed());
  });
}

TEST_F(OneSite, MoreTokensThanTheCapAreRefused) {
  run([&](ToyRank& rank, comm::Communicator&) {
    EXPECT_ERROR(rank.exchange.run(rank.weights(), 1001, "step-1", nullptr), exact::errors::weight);
  });
}

TEST_F(OneSite, SecretsWithoutSeedsNeverLeadToAnUpload) {
  run([&](ToyRank& rank, comm::Communicator& comm) {
    if (comm.rank() == 0) {
      RunFolder& folder = borders.folder(0);
      const std::string nonce = folder.key_nonces(exchange_in(0)).front();
      folder.write_secrets(
          exchange_in(0), nonce,
          seal_secrets(exchange_in(0), nonce, folder.read_key(exchange_in(0), nonce).public_key,
                       borders.secrets(0, 0, false), crypto::system_random()));
    }
    comm.barrier();
    EXPECT_ERROR(rank.exchange.run(rank.weights(), 600, "step-1", nullptr),
                 errors::already_committed);
    EXPECT_FALSE(rank.exchange.committed());
  });
}

// A job that fell back announced what it cannot go on from; the next one has a newer generation.
TEST_F(OneSite, AnAnnouncementTakesBackThoseOfOlderRoundsThatAreNotHere) {
  run([&](ToyRank& rank, comm::Communicator& comm) {
    if (comm.rank() == 0) {
      const KeyFile key = borders.folder(0).read_key({}, borders.folder(0).key_nonces({}).front());
      borders.folder(0).write_key(exchange_in(1), make_nonce(crypto::system_random()), key);
      quick_files().make_directories(borders.folder(0).inbox(exchange_in(1)));
      write_atomically(quick_files(), borders.folder(0).inbox(exchange_in(1)) / "CLOSED", {});
    }
    comm.barrier();
    rank.exchange.resume(Round{2});
    rank.exchange.announce("none");
    if (comm.rank() != 0) return;
    EXPECT_EQ(borders.folder(0).in_outbox(), (std::vector{exchange_in(1), exchange_in(2)}));
  });
}

TEST_F(OneSite, ForgetsExchangesThatNoGenerationRepeats) {
  run([&](ToyRank& rank, comm::Communicator& comm) {
    answer(comm);
    rank.exchange.forget_before(Round{1});
    EXPECT_FALSE(quick_files().exists(borders.folder(0).outbox(exchange_in(0))));
    EXPECT_FALSE(quick_files().exists(borders.folder(0).inbox(exchange_in(0))));
  });
}

}  // namespace
}  // namespace concordat::site
