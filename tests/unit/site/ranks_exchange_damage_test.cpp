// What a damaged inbox or a full disk does to the exchange: a typed error, and nothing else.
#include <gtest/gtest.h>

#include "concordat/exact/errors.hpp"
#include "concordat/site/errors.hpp"
#include "one_site.hpp"
#include "support/expect_error.hpp"

namespace concordat::site {
namespace {

/// Commits, closes, lets `damage` change the inbox, and expects `code` with the state untouched.
class DamagedClosing : public OneSite {
 protected:
  void expect(const ErrorCode& code, const std::string& text,
              const std::function<void(RunFolder&)>& damage) {
    run([&](ToyRank& rank, comm::Communicator& comm) {
      rank.inner_steps(0);
      answer(comm);
      EXPECT_EQ(rank.exchange.run(rank.weights(), 600, "step-1", once_committed(rank)),
                ExchangeEnd::stopped);
      const Digest before = rank.exchange.state_digest();
      comm.barrier();
      if (comm.rank() == 0) {
        borders.close(0, 0, plausible_sums(), weight);
        damage(borders.folder(0));
      }
      comm.barrier();
      EXPECT_ERROR_SAYS(rank.exchange.run(rank.weights(), 600, "step-1", nullptr), code, text);
      rank.exchange.resume(Round{0});
      EXPECT_EQ(rank.exchange.state_digest(), before);
    });
  }
};

TEST_F(DamagedClosing, AFlippedBitOfTheAggregate) {
  expect(errors::block_digest, "block 2", [](RunFolder& folder) {
    testing_support::flip_bit(folder.aggregate_blocks(exchange_in(0)), 2 * 40000);
  });
}

// The border has taken the closing record and fetches the aggregate no second time.
TEST_F(DamagedClosing, TheRemedyIsACopyOfTheInboxAndNoRemoval) {
  expect(errors::block_digest, "restore the run folder's inbox from a copy", [](RunFolder& folder) {
    testing_support::flip_bit(folder.aggregate_blocks(exchange_in(0)), 2 * 40000);
  });
}

TEST_F(DamagedClosing, AFlippedBitOfItsLeaves) {
  expect(errors::block_digest, "closing record's root", [](RunFolder& folder) {
    testing_support::flip_bit(folder.aggregate_leaves(exchange_in(0)), 33);
  });
}

TEST_F(DamagedClosing, AnotherWeight) {
  expect(errors::block_digest, "weight", [](RunFolder& folder) {
    testing_support::flip_bit(folder.aggregate_weight(exchange_in(0)), 0);
  });
}

TEST_F(DamagedClosing, ATotalWeightThatIsNotTheSum) {
  expect(errors::state_differs, "599", [](RunFolder& folder) {
    ClosedRecord closed = *folder.read_closed(exchange_in(0));
    closed.total_weight = 599;
    folder.write_closed(exchange_in(0), closed);
  });
}

TEST_F(DamagedClosing, AnotherManifest) {
  expect(errors::state_differs, "another manifest", [](RunFolder& folder) {
    ClosedRecord closed = *folder.read_closed(exchange_in(0));
    closed.manifest = digest_of("another");
    folder.write_closed(exchange_in(0), closed);
  });
}

TEST_F(DamagedClosing, ASumOutOfRange) {
  expect(exact::errors::sum_out_of_range, "canonical index 5", [this](RunFolder&) {
    Bytes sums = plausible_sums();
    sums[11] = 0x7f;  // element 5, far above 3 * 255
    borders.close(0, 0, sums, weight);
  });
}

TEST_F(DamagedClosing, ASurvivorThatIsNoParticipant) {
  expect(errors::state_differs, "survivor", [](RunFolder& folder) {
    ClosedRecord closed = *folder.read_closed(exchange_in(0));
    closed.survivors.push_back(SiteId{7});
    folder.write_closed(exchange_in(0), closed);
  });
}

TEST_F(OneSite, AFullDiskAtAnyWriteIsATypedErrorAndNeverHalfACommit) {
  bool committed = false;
  int failures = 0;
  for (std::uint64_t change = 1; !committed; ++change) {
    quick_files().remove_all(runs[0]);
    borders.restart(runs);
    const auto comm = comm::self_communicator();
    ToyRank rank(*comm, runs[0], toy_terms(), 1);
    rank.start();
    rank.exchange.announce("none");
    borders.answer(0);
    quick_files().fail_at(change);
    try {
      (void)rank.exchange.run(rank.weights(), 600, "step-1", once_committed(rank));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), concordat::errors::disk_full) << error.what();
      ++failures;
    }
    committed = quick_files().changes() < change;
    quick_files().heal();
    // Whole or absent; a fault behind the link may leave it whole.
    if (const auto record = borders.folder(0).read_commit(exchange_in(0))) {
      EXPECT_EQ(record->leaves.size(), 3U);
      EXPECT_EQ(quick_files().file_size(
                    borders.folder(0).blocks_file(exchange_in(0), record->try_nonce, 0)),
                2U * 49000);
    } else {
      EXPECT_FALSE(committed);
    }
    ASSERT_LT(change, 100U);
  }
  EXPECT_GT(failures, 8);
}

TEST_F(OneSite, AGenerationThatTheCommitDoesNotKnowIsRefused) {
  run([&](ToyRank& rank, comm::Communicator& comm) {
    rank.inner_steps(0);
    answer(comm);
    EXPECT_EQ(rank.exchange.run(rank.weights(), 600, "step-1", once_committed(rank)),
              ExchangeEnd::stopped);
  });
  run([&](ToyRank& rank, comm::Communicator&) {
    // As after a restore of another course: the shared model is another one.
    const auto model = rank.exchange.named_state().front().local;
    if (!model.empty()) model.span<float>()[0] += 1.0F;
    rank.exchange.resume(Round{0});
    EXPECT_ERROR_SAYS(rank.exchange.run(rank.weights(), 600, "step-1", nullptr),
                      errors::state_differs, "committed from another state");
  });
}

}  // namespace
}  // namespace concordat::site
