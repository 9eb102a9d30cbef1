// Getting an entry into a site's ledger with and without a border that owns it.
#include "concordat/ledger/recorder.hpp"

#include "concordat/core/log.hpp"
#include "concordat/ledger/errors.hpp"
#include "support/expect_error.hpp"
#include "unit/ledger/ledger_fixture.hpp"

namespace concordat::ledger::testing {
namespace {

class RecorderTest : public LedgerTest {
 protected:
  RecorderTest() { log::set_level(log::Level::error); }
  ~RecorderTest() override { log::set_level(log::Level::info); }

  SiteRecorder recorder() {
    return SiteRecorder(files, temporary.path(), "ingest", [this](const SiteRecorder::Work& work) {
      Ledger ledger = open();
      work(ledger);
    });
  }
  SiteRecorder ranks() { return SiteRecorder(files, temporary.path(), "train"); }
  static Entry saved(std::uint64_t step) {
    return checkpoint_entry("demo", "step-" + std::to_string(step), step, Round(0), Digest{},
                            Digest{});
  }
  /// What a border does in a turn.
  Taken take() {
    Ledger ledger = open();
    return HandOver(files, temporary.path() / "handover").take(ledger);
  }
  std::filesystem::path lock_path() const { return temporary.path() / "border.lock"; }
};

TEST_F(RecorderTest, WritesItselfWhileNobodyHoldsTheLock) {
  SiteRecorder mine = recorder();
  EXPECT_EQ(mine.record(saved(1)), (Answer{.index = 0}));
  EXPECT_EQ(mine.record(saved(2)), (Answer{.index = 1}));
  EXPECT_EQ(mine.record(saved(1)), (Answer{.index = 0, .found = true}));
  EXPECT_TRUE(mine.settled());
  EXPECT_FALSE(mine.writer().has_value());
  EXPECT_TRUE(read().faults.empty());
  EXPECT_EQ(read().checkpoint->head.size, 2U) << "what it wrote is signed";
}

TEST_F(RecorderTest, HandsOverToTheHolderAndGetsTheIndex) {
  SiteRecorder mine = recorder();
  RoleLock border(lock_path(), "border");
  EXPECT_FALSE(mine.record(saved(1)).has_value());
  EXPECT_FALSE(mine.look(saved(1)).has_value());
  EXPECT_FALSE(mine.settled());
  EXPECT_NE(mine.writer()->find("role=border"), std::string::npos);
  EXPECT_EQ(take().written, 1U);
  EXPECT_EQ(mine.look(saved(1)), (Answer{.index = 0}));
  EXPECT_TRUE(mine.settled());
  EXPECT_TRUE(posix_files().list(mine.folder()).empty());
}

TEST_F(RecorderTest, WritesItselfWhenTheHolderIsGone) {
  SiteRecorder mine = recorder();
  {
    RoleLock border(lock_path(), "border");
    EXPECT_FALSE(mine.record(saved(1)).has_value());
  }
  EXPECT_EQ(mine.look(saved(1))->index, 0U);
  EXPECT_TRUE(posix_files().list(mine.folder()).empty());
  EXPECT_EQ(open().head().size, 1U);
}

TEST_F(RecorderTest, WhoWritesItselfTakesWhatWaitsWithIt) {
  ranks().record(saved(7));
  EXPECT_EQ(recorder().record(saved(8)), (Answer{.index = 0}));
  EXPECT_EQ(open().entry(1).entry, saved(7));
  // Its own that waited is written once, and nobody is told about it twice.
  ranks().record(saved(9));
  SiteRecorder again = recorder();
  EXPECT_EQ(again.record(saved(9)), (Answer{.index = 2}));
  EXPECT_FALSE(HandOver(files, again.folder()).answer(HandOver::name_of(saved(9))));
}

TEST_F(RecorderTest, RanksNeverWriteThemselves) {
  SiteRecorder mine = ranks();
  EXPECT_FALSE(mine.record(saved(1)).has_value());
  EXPECT_FALSE(mine.settled());
  EXPECT_FALSE(posix_files().exists(folder));
  take();
  EXPECT_TRUE(mine.settled());
}

TEST_F(RecorderTest, AnAnswerThatIsGoneIsAskedForAgain) {
  SiteRecorder mine = ranks();
  mine.record(saved(1));
  take();
  HandOver(files, temporary.path() / "handover").sweep();  // a border that starts
  EXPECT_FALSE(mine.settled());
  take();
  EXPECT_TRUE(mine.settled());
  EXPECT_EQ(open().head().size, 1U);
}

TEST_F(RecorderTest, AnEntryThatIsTurnedAwayIsAnErrorOfWhoHandedIt) {
  Entry other = saved(1);
  other.fields[2].second = "2";
  {
    Ledger ledger = open();
    ledger.append_keyed(other);
  }
  SiteRecorder mine = ranks();
  mine.record(saved(1));
  take();
  EXPECT_ERROR(mine.settled(), errors::conflict);
  EXPECT_ERROR(recorder().record(saved(1)), errors::conflict);

  Entry stranger = saved(2);
  stranger.key.insert(0, "0123456789abcdef/");
  mine.record(stranger);
  take();
  EXPECT_ERROR_SAYS(mine.settled(), errors::not_taken, "a run that this ledger does not know");
}

TEST_F(RecorderTest, OnlyEntriesThatAreHandedOverCanBeRecorded) {
  EXPECT_ERROR_SAYS(recorder().record(note(1)), errors::malformed, "ingest or checkpoint");
  EXPECT_FALSE(posix_files().exists(folder));
}

TEST_F(RecorderTest, ABorderWaitsForTheWriterOfOneEntryButNotForABorder) {
  const std::int64_t before = clock.now;
  {
    RoleLock border(lock_path(), "border");
    EXPECT_ERROR(take_writer_lock(temporary.path(), clock), concordat::errors::in_use);
  }
  EXPECT_LT(clock.now - before, 2);

  // The holder is gone after the second look.
  struct Leaves final : Clock {
    explicit Leaves(RoleLock lock) : held(std::move(lock)) {}
    std::chrono::nanoseconds monotonic() const override { return {}; }
    std::int64_t unix_seconds() const override { return 0; }
    void sleep(std::chrono::nanoseconds) override {
      if (++sleeps == 20) held.reset();
    }
    std::optional<RoleLock> held;
    int sleeps = 0;
  } passing{RoleLock(lock_path(), "ingest-entry")};
  const RoleLock mine = take_writer_lock(temporary.path(), passing);
  EXPECT_EQ(passing.sleeps, 20);
}

}  // namespace
}  // namespace concordat::ledger::testing
