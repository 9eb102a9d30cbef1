#include <gtest/gtest.h>

#include "concordat/crypto/errors.hpp"
#include "concordat/crypto/exchange_journal.hpp"
#include "support/expect_error.hpp"
#include "support/faulty_files.hpp"
#include "support/temporary_folder.hpp"

namespace concordat::crypto {
namespace {

using testing_support::FaultyFiles;
using testing_support::flip_bit;

class Journal : public testing::Test {
 protected:
  ExchangeJournal open(FileSystem* fs = nullptr) {
    replayed_.clear();
    return ExchangeJournal::open(fs != nullptr ? *fs : fs_, path_, [&](const JournalRecord& r) {
      EXPECT_EQ(r.index, replayed_.size());
      replayed_.push_back(to_string(r.body));
    });
  }
  void write_three() {
    ExchangeJournal journal = open();
    for (const char* text : {"one", "two and a half", "three"}) journal.append(as_bytes(text));
  }
  testing_support::TemporaryFolder folder_;
  testing_support::FaultyFiles fast_;  // no fault: it only leaves the syncs out
  FileSystem& fs_ = fast_;
  std::filesystem::path path_ = folder_.path() / "exchange.journal";
  std::vector<std::string> replayed_;
  const std::vector<std::string> three_ = {"one", "two and a half", "three"};
};

TEST_F(Journal, ReplaysWhatWasAcknowledged) {
  Digest head;
  std::uint64_t second = 0;
  {
    ExchangeJournal journal = open();
    EXPECT_EQ(journal.num_records(), 0U);
    journal.append(as_bytes("one"));
    second = journal.append(as_bytes("two and a half"));
    journal.append(as_bytes("three"));
    head = journal.head();
    EXPECT_EQ(to_string(journal.read(second)), "two and a half");
  }
  ExchangeJournal journal = open();
  EXPECT_EQ(replayed_, three_);
  EXPECT_EQ(journal.head(), head);
  EXPECT_EQ(journal.torn_bytes(), 0U);
  EXPECT_EQ(to_string(journal.read(second)), "two and a half");
  EXPECT_EQ(fs_.mode(path_), 0600U);
}

TEST_F(Journal, ATornTailOfEveryLengthIsCutAndSaid) {
  write_three();
  Bytes whole = read_file(fs_, path_);
  const std::size_t last = 12 + 5 + 32;
  for (std::size_t left = 1; left < last; ++left) {
    testing_support::overwrite(path_, ByteView(whole).first(whole.size() - last + left));
    {
      ExchangeJournal journal = open();
      EXPECT_EQ(replayed_, std::vector<std::string>({"one", "two and a half"}));
      EXPECT_EQ(journal.torn_bytes(), left);
      journal.append(as_bytes("again"));
    }
    EXPECT_EQ(open().torn_bytes(), 0U);
    EXPECT_EQ(replayed_.back(), "again");
  }
}

TEST_F(Journal, ATailOfZerosOrUnwrittenPagesIsTorn) {
  write_three();
  Bytes whole = read_file(fs_, path_);
  Bytes zeros = whole;
  zeros.resize(whole.size() + 500);
  testing_support::overwrite(path_, zeros);
  EXPECT_EQ(open().torn_bytes(), 500U);
  EXPECT_EQ(replayed_, three_);
  // The length arrived, the body did not.
  Bytes half = whole;
  std::fill(half.end() - 20, half.end(), std::uint8_t{0});
  testing_support::overwrite(path_, half);
  EXPECT_EQ(open().torn_bytes(), 12U + 5U + 32U);
  EXPECT_EQ(replayed_.size(), 2U);
}

// SIGKILL between the write and the fsync: the record is in the page cache alone, the restart
// replays it and acts on it, and then the power fails.
TEST_F(Journal, AReplayedRecordSurvivesAPowerCut) {
  write_three();
  FaultyFiles fs;
  fs.remember_unsynced = true;
  {
    ExchangeJournal journal = open(&fs);
    fs.fail_at(2);  // the sync of the append
    EXPECT_ERROR(journal.append(as_bytes("four")), concordat::errors::disk_full);
    fs.heal();
  }
  auto four = three_;
  four.push_back("four");
  open(&fs);
  EXPECT_EQ(replayed_, four);
  fs.power_cut();
  open();
  EXPECT_EQ(replayed_, four) << "a record that was acted upon is gone";
}

TEST_F(Journal, AnUnsyncedRecordIsShownToNobodyBeforeItIsDurable) {
  write_three();
  FaultyFiles fs;
  fs.fail_at(1);
  EXPECT_ERROR(open(&fs), concordat::errors::disk_full);
  EXPECT_TRUE(replayed_.empty());
}

TEST_F(Journal, TheNameOfAJournalThatWasFoundSurvivesAPowerCut) {
  FaultyFiles fs;
  fs.remember_unsynced = true;
  fs.fail_at(6);  // file, write, sync, link, remove, and the directory's sync
  EXPECT_ERROR(open(&fs), concordat::errors::disk_full);
  fs.heal();
  ASSERT_TRUE(fs_.exists(path_));
  open(&fs).append(as_bytes("one"));
  fs.power_cut();
  ASSERT_TRUE(fs_.exists(path_));
  open();
  EXPECT_EQ(replayed_, std::vector<std::string>({"one"}));
}

TEST_F(Journal, AnyFlippedBitInAnAcknowledgedRecordIsRefused) {
  write_three();
  const std::uint64_t last = fs_.file_size(path_) - (12 + 5 + 32);
  for (std::uint64_t i = 0; i < last + 12; ++i) {
    flip_bit(path_, i);
    EXPECT_ERROR_SAYS(open(), errors::journal_damaged, "exchange.journal");
    flip_bit(path_, i);
  }
  EXPECT_NO_THROW(open());
  EXPECT_EQ(replayed_, three_);
}

TEST_F(Journal, AnEmptyOrForeignFileIsRefused) {
  testing_support::overwrite(path_, {});
  EXPECT_ERROR(open(), errors::journal_damaged);
  testing_support::overwrite(path_, as_bytes("something else entirely\n"));
  EXPECT_ERROR(open(), errors::journal_damaged);
}

TEST_F(Journal, RecordsOfAnotherJournalDoNotFit) {
  write_three();
  Bytes mine = read_file(fs_, path_);
  fs_.remove(path_);
  {
    ExchangeJournal other = open();
    other.append(as_bytes("another past"));
  }
  Bytes joined = read_file(fs_, path_);
  joined.insert(joined.end(), mine.end() - 49, mine.end());
  testing_support::overwrite(path_, joined);
  EXPECT_ERROR(open(), errors::journal_damaged);
}

TEST_F(Journal, AfterAFullDiskItRefusesToGoOnAndLosesNothing) {
  FaultyFiles fs;
  for (std::uint64_t fault = 1; fault <= 2; ++fault) {  // the write, the sync
    fs_.remove(path_);
    write_three();
    ExchangeJournal journal = open(&fs);
    fs.fail_at(fault);
    EXPECT_ERROR(journal.append(as_bytes("four")), concordat::errors::disk_full);
    fs.heal();
    EXPECT_ERROR_SAYS(journal.append(as_bytes("five")), concordat::errors::io_failed,
                      "earlier append");
    ExchangeJournal again = open();
    EXPECT_GE(replayed_.size(), 3U);
    EXPECT_EQ(std::vector<std::string>(replayed_.begin(), replayed_.begin() + 3), three_);
    again.append(as_bytes("six"));
    open();
    EXPECT_EQ(replayed_.back(), "six");
  }
}

TEST_F(Journal, PreconditionsAreChecked) {
  ExchangeJournal journal = open();
  EXPECT_THROW(journal.append({}), Bug);
  EXPECT_THROW(journal.read(0), Bug);
  EXPECT_THROW(journal.read(1000), Bug);
}

// The worked example of docs/formats/journal.md, byte for byte.
TEST_F(Journal, BytesOfTheDocumentedExample) {
  open().append(as_bytes("hello"));
  EXPECT_EQ(to_hex(read_file(fs_, path_)),
            "636f6e636f72646174206a6f75726e616c2076310a"
            "050000007d03bb84c205765e68656c6c6f"
            "8581c8b78f1700261c3503aac23c4c7ff0d124111f4184967a14f9922a0b2100");
}

}  // namespace
}  // namespace concordat::crypto
