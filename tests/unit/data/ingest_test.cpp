#include "concordat/data/ingest.hpp"

#include <gtest/gtest.h>

#include "concordat/data/dataset.hpp"
#include "concordat/data/errors.hpp"
#include "corpus.hpp"
#include "support/expect_error.hpp"
#include "support/faulty_files.hpp"

namespace concordat::data {
namespace {

using testing_support::FaultyFiles;

class Ingest : public CorpusTest {
 protected:
  /// All documents of a split, read back through the index.
  std::vector<std::string> documents(const DatasetManifest& manifest, Split split) {
    std::vector<std::string> out;
    for (const ShardInfo& info : manifest.shards) {
      if (info.id.split != split) continue;
      ShardReader shard(fs_, out_, info.id, key_);
      for (std::uint64_t i = 0; i < shard.num_documents(); ++i) {
        DocumentEntry entry = shard.document(i);
        std::vector<Token> tokens(entry.size + 1);
        shard.read(entry.begin, tokens);
        EXPECT_EQ(tokens.back(), separator_token);
        tokens.pop_back();
        out.push_back(to_string(byte_tokenizer()->decode(tokens)));
        EXPECT_EQ(crypto::sha256(as_bytes(out.back())), entry.content);
      }
    }
    return out;
  }
};

TEST_F(Ingest, EveryDocumentComesBackOnTheSideOfItsHash) {
  put_many(40);
  put("sub/deeper/more.txt", "ein Text in einem Unterordner");
  DatasetManifest done = ingest();
  EXPECT_EQ(done.num_documents, 41U);
  EXPECT_EQ(done.num_duplicates, 0U);
  EXPECT_GT(done.shards.size(), 3U);  // small shards: several of them
  std::vector<std::string> train = documents(done, Split::train);
  std::vector<std::string> validation = documents(done, Split::validation);
  EXPECT_EQ(train.size() + validation.size(), 41U);
  EXPECT_GT(validation.size(), 2U);
  for (const auto& text : train) {
    EXPECT_EQ(split_of(crypto::sha256(as_bytes(text)), 200), Split::train);
  }
  for (const auto& text : validation) {
    EXPECT_EQ(split_of(crypto::sha256(as_bytes(text)), 200), Split::validation);
  }
  EXPECT_EQ(done.num_tokens(Split::train) + done.num_tokens(Split::validation),
            done.num_bytes + done.num_documents);
  verify_shard_files(fs_, out_, done);
}

TEST_F(Ingest, ExactDuplicatesAndEmptyDocumentsAreDroppedAndCounted) {
  put_many(30);
  put("copy-1.txt", "zweimal derselbe Text");
  put("copy-2.txt", "zweimal derselbe Text");
  put("copy-3.txt", "zweimal derselbe Text\n");  // one byte differs: another document
  put("empty.txt", "");
  DatasetManifest done = ingest();
  EXPECT_EQ(done.num_documents, 32U);
  EXPECT_EQ(done.num_duplicates, 1U);
  EXPECT_EQ(done.num_empty, 1U);
}

TEST_F(Ingest, IsTheSameDatasetEachTimeButForTheEncryption) {
  put_many(30);
  DatasetManifest first = ingest();
  std::vector<std::string> texts = documents(first, Split::train);
  fs_.rename(out_, folder_.path() / "first");
  DatasetManifest second = ingest();
  EXPECT_EQ(documents(second, Split::train), texts);
  EXPECT_NE(first.digest(), second.digest());  // fresh file keys
  EXPECT_EQ(first.num_tokens(Split::train), second.num_tokens(Split::train));
}

TEST_F(Ingest, ADocumentStaysOnItsSideWhenOthersCome) {
  put_many(30);
  std::vector<std::string> before = documents(ingest(), Split::validation);
  fs_.remove_all(out_);
  put("new.txt", "ein neuer Text");
  put("a-new.txt", "noch ein neuer Text");
  std::vector<std::string> after = documents(ingest(), Split::validation);
  for (const auto& text : before) {
    EXPECT_NE(std::find(after.begin(), after.end(), text), after.end());
  }
}

TEST_F(Ingest, NoPlaintextReachesTheDiskEvenWhenItFails) {
  put_many(25);
  FaultyFiles fs;
  ingest(&fs);
  const std::uint64_t changes = fs.changes();
  auto look = [&] {
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(folder_.path() / "data")) {
      if (!entry.is_regular_file()) continue;
      EXPECT_EQ(read_text(fs_, entry.path()).find("zahlen"), std::string::npos) << entry.path();
    }
  };
  look();
  for (std::uint64_t i = 1; i < changes; i += 1 + changes / 25) {
    fs_.remove_all(out_);
    fs.fail_at(i);
    EXPECT_ERROR(ingest(&fs), concordat::errors::disk_full);
    fs.heal();
    look();
    if (!fs_.exists(out_)) {
      EXPECT_NO_THROW(ingest(&fs));  // the remains are no obstacle
    }
    EXPECT_NO_THROW(Dataset::open(fs_, out_, key_, Split::train, 1)) << i;
  }
}

TEST_F(Ingest, ASourceThatIsNoCorpusIsRefused) {
  EXPECT_ERROR_SAYS(ingest(), errors::empty_corpus, "no folder");
  fs_.make_directories(source_);
  EXPECT_ERROR_SAYS(ingest(), errors::empty_corpus, "without .txt");
  put("empty.txt", "");
  EXPECT_ERROR(ingest(), errors::empty_corpus);
  EXPECT_FALSE(fs_.exists(out_));
  put_many(5);
  put("page.1.gz", "\x1f\x8b");
  EXPECT_ERROR_SAYS(ingest(), errors::unknown_source, "page.1.gz");
}

TEST_F(Ingest, TextThatIsNotUtf8IsRefusedByFileAndOffset) {
  put_many(5);
  put("latin1.txt", "f\xfcr");
  EXPECT_ERROR_SAYS(ingest(), errors::not_utf8, "latin1.txt, byte offset 1");
  EXPECT_FALSE(fs_.exists(out_));
  EXPECT_FALSE(fs_.exists(out_.string() + ".new"));
}

TEST_F(Ingest, AValidationSideThatStaysEmptyIsSaid) {
  put("one.txt", "nur ein Text");
  Split side = split_of(crypto::sha256(as_bytes("nur ein Text")), 200);
  EXPECT_ERROR_SAYS(ingest(), errors::empty_corpus,
                    side == Split::train ? "split validation" : "split train");
}

TEST_F(Ingest, ADatasetIsWrittenOnce) {
  put_many(20);
  ingest();
  EXPECT_ERROR_SAYS(ingest(), concordat::errors::already_exists, "german");
  IngestOptions bad = options();
  bad.name = "../german";
  EXPECT_ERROR(ingest_documents(fs_, bad, key_, random_), concordat::errors::usage);
}

TEST(Split, SharesComeOutAsAsked) {
  int held_out = 0;
  for (int i = 0; i < 10'000; ++i) {
    Digest content = crypto::sha256(as_bytes("document " + std::to_string(i)));
    held_out += split_of(content, 50) == Split::validation ? 1 : 0;
    EXPECT_EQ(split_of(content, 0), Split::train);
  }
  // 500 expected, standard deviation 22: five of them.
  EXPECT_NEAR(held_out, 500, 110);
}

}  // namespace
}  // namespace concordat::data
