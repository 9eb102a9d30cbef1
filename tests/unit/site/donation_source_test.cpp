// What a donor reads its state from, and how much of it at a time.
#include "site/donation_source.hpp"

#include "concordat/ledger/recorder.hpp"
#include "concordat/site/errors.hpp"
#include "support/expect_error.hpp"
#include "unit/checkpoint/forwarding_files.hpp"
#include "unit/site/border_loss.hpp"

namespace concordat::site::testing {
namespace {

const ExchangeId given{Round{1}, {}, {}};

/// Counts what is read at an offset: the vectors of a state, and the sum.
class CountedReads final : public testing_support::ForwardingFiles {
 public:
  std::unique_ptr<File> open(const Path& path, OpenMode mode) override {
    return std::make_unique<Counted>(bytes, real_.open(path, mode));
  }
  std::uint64_t bytes = 0;

 private:
  class Counted final : public testing_support::ForwardingFile {
   public:
    Counted(std::uint64_t& bytes, std::unique_ptr<File> file)
        : ForwardingFile(std::move(file)), bytes_(bytes) {}
    void read_at(std::uint64_t offset, ByteSpan into) override {
      bytes_ += into.size();
      ForwardingFile::read_at(offset, into);
    }

   private:
    std::uint64_t& bytes_;
  };
};

StateShape shape_of(const Loss& loss) { return state_shape(loss.world.agreement.agreement, given); }

ClosedExchange closed_of(const Loss& loss) {
  const ClosedRecord record = *RunFolder(posix_files(), loss.run(giver)).read_closed(given);
  return {.exchange = given,
          .manifest = record.manifest,
          .state = record.state_digest,
          .participants = 3,
          .survivors = record.survivors,
          .total_weight = record.total_weight,
          .aggregate = record.aggregate_root};
}

TEST(DonationSource, HashesNoMoreAtOnceThanItIsTold) {
  const Loss loss;
  CountedReads files;
  RunFolder folder(files, loss.run(giver));
  // Of each vector 4096, 4096 and 1808 bytes, of scales 4 a block, of the sum 2048, 2048 and 904.
  constexpr std::uint64_t whole = 2 * 10'000 + 12 + 5'000;
  const auto calls = [&](std::uint64_t most) {
    DonationSource source(folder, shape_of(loss), closed_of(loss), {1, 1, 1});
    files.bytes = 0;
    std::uint64_t before = 0;
    int count = 0;
    for (bool all = false; !all; ++count, before = files.bytes) {
      EXPECT_FALSE(source.hashed());
      all = source.hash_some(most);
      EXPECT_LE(files.bytes - before, std::max<std::uint64_t>(most, 4096));
      EXPECT_GT(files.bytes, before);
    }
    EXPECT_EQ(files.bytes, whole);
    EXPECT_EQ(source.contents().sums.size(), 3U);
    EXPECT_EQ(source.piece(1).size(), 4096U);
    return count;
  };
  EXPECT_EQ(calls(1), 12);
  EXPECT_EQ(calls(8192), 4);
  EXPECT_EQ(calls(whole), 1);
}

// The others' messages, the ranks' keys and their entries for the ledger are taken between.
TEST(DonationSource, ABorderDoesOtherThingsWhileItHashes) {
  Loss loss;
  loss.world.hash_per_turn_bytes = 1;
  loss.world.start_border(giver);
  loss.ask(giver);
  ledger::SiteRecorder ranks(posix_files(), loss.world.site_folder(giver), "train");
  int turns = 0;
  for (; loss.kept_at_hub() == 0; ++turns) {
    ASSERT_LT(turns, 100);
    ranks.record(ledger::checkpoint_entry("demo", "step-" + std::to_string(turns), 1, Round(0),
                                          crypto::sha256(as_bytes(std::to_string(turns))),
                                          crypto::sha256(as_bytes("manifest"))));
    loss.world.borders[giver]->turn();
    EXPECT_TRUE(ranks.settled()) << turns;
  }
  EXPECT_GE(turns, 12);
  loss.world.turn_until([&] { return loss.here(); });
}

TEST(DonationSource, AGenerationThatOnlyTheFastTierHasIsNamed) {
  const Loss loss;
  RunFolder folder(posix_files(), loss.run(giver));
  posix_files().remove_all(folder.checkpoints() / "step-001001");
  const auto make = [&] { DonationSource(folder, shape_of(loss), closed_of(loss), {1, 1, 1}); };
  EXPECT_ERROR_SAYS(make(), errors::nothing_to_give, "none of exchange 1.0.0; expected");
  testing_support::overwrite(folder.checkpoints() / "FAST",
                             as_bytes("step-001001 " + Digest{}.hex() + "\n"));
  EXPECT_ERROR_SAYS(make(), errors::nothing_to_give,
                    "step-001001 is on the disks of the nodes alone");
}

}  // namespace
}  // namespace concordat::site::testing
