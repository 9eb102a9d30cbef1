#include "concordat/data/dataset.hpp"

#include <gtest/gtest.h>

#include <set>

#include "concordat/crypto/sealed_file.hpp"
#include "concordat/data/errors.hpp"
#include "corpus.hpp"
#include "data/shuffle.hpp"
#include "support/expect_error.hpp"

namespace concordat::data {
namespace {

using testing_support::flip_bit;

class DatasetTest : public CorpusTest {
 protected:
  void SetUp() override {
    put_many(40);
    manifest_ = ingest();
  }
  Dataset open(Split split = Split::train, std::uint64_t seed = 1) {
    return Dataset::open(fs_, out_, key_, split, seed);
  }
  DatasetManifest manifest_;
};

TEST_F(DatasetTest, IsAllShardsInOneSequence) {
  Dataset set = open();
  EXPECT_EQ(set.num_tokens(), manifest_.num_tokens(Split::train));
  std::vector<std::int32_t> whole(set.num_tokens());
  set.read(0, whole);
  std::uint64_t separators = 0;
  for (std::int32_t token : whole) separators += token == separator_token ? 1 : 0;
  EXPECT_EQ(separators, set.num_documents());
  EXPECT_EQ(whole.back(), separator_token);
  for (std::uint64_t begin = 0; begin + 700 <= set.num_tokens(); begin += 611) {
    std::vector<std::int32_t> piece(700);  // many of these cross from shard to shard
    set.read(begin, piece);
    EXPECT_TRUE(std::equal(piece.begin(), piece.end(), whole.begin() + static_cast<long>(begin)));
  }
  std::vector<std::int32_t> beyond(2);
  EXPECT_THROW(set.read(set.num_tokens() - 1, beyond), Bug);
}

TEST_F(DatasetTest, ValidationWindowsFollowOneAnother) {
  Dataset set = open(Split::validation);
  const std::uint64_t count = set.num_windows(64);
  EXPECT_EQ(count, (set.num_tokens() - 1) / 64);
  for (std::uint64_t i = 0; i + 1 < count; ++i) {
    std::vector<std::int32_t> here = set.window(i, 64);
    ASSERT_EQ(here.size(), 65U);
    EXPECT_EQ(here.back(), set.window(i + 1, 64).front());  // each token is a target once
  }
  EXPECT_THROW(set.window(count, 64), Bug);
}

TEST_F(DatasetTest, SamplesDependOnSeedAndIndexAlone) {
  Dataset forward = open();
  Dataset backward = open();
  std::vector<std::vector<std::int32_t>> samples;
  for (std::uint64_t i = 0; i < 50; ++i) samples.push_back(forward.sample(i * 37, 100));
  for (std::uint64_t i = 50; i-- > 0;) EXPECT_EQ(backward.sample(i * 37, 100), samples[i]);
  Dataset other = open(Split::train, 2);
  int equal = 0;
  for (std::uint64_t i = 0; i < 50; ++i) equal += other.sample(i * 37, 100) == samples[i] ? 1 : 0;
  EXPECT_LT(equal, 10);
}

TEST_F(DatasetTest, AnEpochSeesEveryWindowOnceAndTheNextCutsElsewhere) {
  Dataset set = open();
  const std::uint64_t per_epoch = set.num_windows(100) - 1;
  std::set<std::uint64_t> first;
  std::set<std::uint64_t> second;
  for (std::uint64_t i = 0; i < per_epoch; ++i) first.insert(set.sample_begin(i, 100));
  for (std::uint64_t i = 0; i < per_epoch; ++i) second.insert(set.sample_begin(per_epoch + i, 100));
  EXPECT_EQ(first.size(), per_epoch);
  EXPECT_EQ(second.size(), per_epoch);
  EXPECT_NE(first, second);
  for (const auto& begins : {first, second}) {
    EXPECT_LE(*begins.rbegin() + 101, set.num_tokens());
    std::uint64_t expected = *begins.begin();
    for (std::uint64_t begin : begins) {
      EXPECT_EQ(begin, expected);
      expected += 100;
    }
  }
}

TEST_F(DatasetTest, TooShortForAWindowIsRefused) {
  Dataset set = open();
  EXPECT_NO_THROW(set.sample(5, set.num_tokens() - 1));
  EXPECT_ERROR_SAYS(set.sample(0, set.num_tokens()), errors::too_short, "tokens");
}

TEST_F(DatasetTest, AFlippedBitInAShardNamesShardAndChunk) {
  auto path = out_ / manifest_.shards[0].id.file_name();
  flip_bit(path, fs_.file_size(path) - 40);
  EXPECT_ERROR_SAYS(open(), errors::shard_damaged, "train-0000.tok");
  EXPECT_ERROR_SAYS(open(), errors::shard_damaged, "chunk 0");
  EXPECT_ERROR_SAYS(verify_shard_files(fs_, out_, manifest_), errors::shard_damaged,
                    "train-0000.tok");
  EXPECT_NO_THROW(open(Split::validation));
}

TEST_F(DatasetTest, CutSwappedMissingAndForeignShardsAreRefused) {
  auto first = out_ / "train-0000.tok";
  auto second = out_ / "train-0001.tok";
  Bytes good = read_file(fs_, first);
  testing_support::overwrite(first, ByteView(good).first(good.size() - 1));
  EXPECT_ERROR_SAYS(open(), errors::shard_damaged, "train-0000.tok");
  testing_support::overwrite(first, read_file(fs_, second));
  EXPECT_ERROR_SAYS(open(), errors::shard_damaged, "purpose");
  testing_support::overwrite(first, good);
  EXPECT_NO_THROW(open());
  EXPECT_ERROR(Dataset::open(fs_, out_, Bytes(32, 8), Split::train, 1), errors::shard_damaged);
  fs_.remove(second);
  EXPECT_ERROR_SAYS(open(), concordat::errors::not_found, "train-0001.tok");
}

TEST_F(DatasetTest, ADatasetThatWasNeverIngestedIsNamed) {
  EXPECT_ERROR_SAYS(Dataset::open(fs_, out_ / "manuals", Bytes(32, 8), Split::train, 1),
                    concordat::errors::not_found, "no dataset of this name");
}

TEST_F(DatasetTest, AnOlderShardOfTheSameNameIsRefused) {
  Bytes old_shard = read_file(fs_, out_ / "train-0000.tok");
  fs_.remove_all(out_);
  put("doc-0.txt", "kürzer");
  put("doc-1.txt", "auch kürzer");
  ingest();
  testing_support::overwrite(out_ / "train-0000.tok", old_shard);
  EXPECT_ERROR_SAYS(open(), errors::shard_damaged, "train-0000.tok");
}

TEST_F(DatasetTest, AnEditedManifestIsRefused) {
  auto path = out_ / "dataset";
  std::string good = read_text(fs_, path);
  EXPECT_EQ(load_manifest(fs_, out_, key_).text(), manifest_.text());
  EXPECT_EQ(load_manifest(fs_, out_, key_).digest(), manifest_.digest());
  for (std::size_t i = 0; i < good.size(); ++i) {
    flip_bit(path, i);
    EXPECT_ERROR(load_manifest(fs_, out_, key_), errors::shard_damaged);
    flip_bit(path, i);
  }
  std::size_t line = good.find("shard: ");
  std::string shorter = good;
  shorter.erase(line, good.find('\n', line) + 1 - line);
  for (const std::string& bad : {shorter, good + "shard: train 9 1 1 00\n", std::string()}) {
    testing_support::overwrite(path, as_bytes(bad));
    EXPECT_ERROR_SAYS(load_manifest(fs_, out_, key_), errors::shard_damaged, "does not verify");
  }
}

// The worked example of docs/formats/token-shard.md: what lies inside the sealed file.
TEST(Shard, BytesOfTheDocumentedExample) {
  testing_support::TemporaryFolder folder;
  ShardWriter out(posix_files(), folder.path(), {"german", Split::train, 0}, Bytes(32),
                  crypto::system_random());
  out.add(byte_tokenizer()->encode(as_bytes("hi")), crypto::sha256(as_bytes("hi")));
  out.finish();
  crypto::SealedFileReader in(posix_files(), folder.path() / "train-0000.tok", Bytes(32),
                              "token-shard german train 0");
  Bytes plain(in.size());
  in.read_at(0, plain);
  EXPECT_EQ(to_hex(plain),
            "434e43544f4b53310101000002000000"
            "680069000001"
            "00000000000000000200000000000000"
            "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"
            "03000000000000000100000000000000434e43544f4b5345");
}

TEST(ShuffleTest, IsAPermutationOfEverySize) {
  for (std::uint64_t count : {1U, 2U, 3U, 4U, 5U, 16U, 17U, 100U, 1000U}) {
    for (std::uint64_t epoch : {0U, 1U, 77U}) {
      Shuffle shuffle(9, epoch, count);
      std::set<std::uint64_t> seen;
      for (std::uint64_t i = 0; i < count; ++i) seen.insert(shuffle.position(i));
      EXPECT_EQ(seen.size(), count);
      EXPECT_EQ(*seen.rbegin(), count - 1);
    }
  }
  EXPECT_THROW(Shuffle(9, 0, 5).position(5), Bug);
}

// Data order is part of what a run is: these numbers never change.
TEST(ShuffleTest, GoldenOrder) {
  Shuffle shuffle(1234, 2, 1000);
  std::vector<std::uint64_t> order;
  for (std::uint64_t i = 0; i < 6; ++i) order.push_back(shuffle.position(i));
  EXPECT_EQ(order, (std::vector<std::uint64_t>{832, 10, 502, 403, 479, 741}));
  EXPECT_EQ(shuffle.shift(128), 81U);
}

}  // namespace
}  // namespace concordat::data
