#include "concordat/governance/ingest.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "concordat/core/clock.hpp"
#include "concordat/ledger/errors.hpp"
#include "concordat/ledger/ledger.hpp"

namespace concordat::governance {
namespace {

class IngestTest : public ::testing::Test {
 protected:
  IngestTest() : key(crypto::SigningKey::from_seed(Bytes(32, 1))) {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder = std::filesystem::temp_directory_path() /
             ("concordat-ingest-" + std::to_string(::getpid()) + "-" + info->name());
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder / "source");
    for (int i = 0; i < 40; ++i) {
      std::ofstream(folder / "source" / ("page" + std::to_string(i) + ".txt"))
          << "Seite " << (i % 35) << " von vielen, mit einem Satz.\n";
    }
  }
  ~IngestTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  ledger::Ledger open() {
    return ledger::Ledger::open(posix_files(), folder / "ledger", "test/log", key, system_clock());
  }
  IngestRequest request() const {
    return {.options = {.name = "german",
                        .source = folder / "source",
                        .folder = folder / "data" / "german",
                        .validation_permille = 200},
            .language = "de",
            .purpose = "language model"};
  }
  IngestRecord run(ledger::Ledger& ledger, const IngestRequest& what) {
    const auto record = [&](const ledger::Entry& entry) -> std::optional<ledger::Answer> {
      const bool found = ledger.has_key(entry.key);
      return ledger::Answer{.index = ledger.append(entry), .found = found};
    };
    return ingest(posix_files(), record, what, data_key, crypto::system_random());
  }
  std::filesystem::path folder;
  crypto::SigningKey key;
  Bytes data_key = Bytes(32, 5);
};

TEST_F(IngestTest, ledger_says_what_was_done) {
  auto ledger = open();
  const IngestRecord record = run(ledger, request());
  EXPECT_FALSE(record.already_there);
  const ledger::Entry entry = ledger.entry(record.entry->index).entry;
  EXPECT_EQ(entry.kind, ledger::kinds::ingest);
  EXPECT_EQ(entry.at("dataset"), "german");
  EXPECT_EQ(entry.at("language"), "de");
  EXPECT_EQ(entry.at("purpose"), "language model");
  EXPECT_EQ(entry.at("documents"), "35");
  EXPECT_EQ(entry.at("duplicates_dropped"), "5");
  EXPECT_EQ(
      std::stoull(entry.at("train_documents")) + std::stoull(entry.at("validation_documents")),
      35U);
  EXPECT_EQ(entry.at("manifest"), record.manifest.digest().hex());
  ASSERT_FALSE(record.manifest.shards.empty());
  const auto& shard = record.manifest.shards.front();
  EXPECT_EQ(entry.at("shard " + shard.id.file_name()), shard.digest.hex());
}

TEST_F(IngestTest, repeated_command_changes_nothing_and_says_so) {
  auto ledger = open();
  const IngestRecord first = run(ledger, request());
  const IngestRecord again = run(ledger, request());
  EXPECT_TRUE(again.already_there);
  EXPECT_EQ(again.entry->index, first.entry->index);
  EXPECT_EQ(again.manifest.digest(), first.manifest.digest());
  EXPECT_EQ(ledger.head().size, 1U);
}

TEST_F(IngestTest, killed_before_its_entry_it_is_finished_by_the_same_command) {
  auto options = request().options;
  data::ingest_documents(posix_files(), options, data_key, crypto::system_random());
  auto ledger = open();
  const IngestRecord record = run(ledger, request());
  EXPECT_FALSE(record.already_there);
  EXPECT_EQ(ledger.head().size, 1U);
}

TEST_F(IngestTest, other_words_about_the_same_dataset_are_a_conflict) {
  auto ledger = open();
  run(ledger, request());
  IngestRequest other = request();
  other.purpose = "advertising";
  try {
    run(ledger, other);
    ADD_FAILURE() << "the purpose changed and nobody minded";
  } catch (const Error& error) {
    EXPECT_EQ(error.code().name, ledger::errors::conflict.name);
  }
}

TEST_F(IngestTest, failed_ingest_leaves_no_entry) {
  std::ofstream(folder / "source" / "bad.txt", std::ios::binary) << "\xff\xfe";
  auto ledger = open();
  EXPECT_THROW(run(ledger, request()), Error);
  EXPECT_EQ(ledger.head().size, 0U);
  EXPECT_FALSE(std::filesystem::exists(folder / "data" / "german"));
}

}  // namespace
}  // namespace concordat::governance
