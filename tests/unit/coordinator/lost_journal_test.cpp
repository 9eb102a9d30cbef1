// A coordinator whose journal is gone, cut or an older copy.
#include "unit/coordinator/scene.hpp"

namespace concordat::coordinator::testing {
namespace {

/// Round 0 is closed, and all sites are ready for round 1.
struct Begun : Drifting {
  Begun() : Drifting(2) {
    for (std::uint32_t i = 0; i < 2; ++i) sites[i]->step(milliseconds(0));
    loop->turn();
    loop.reset();
  }
  std::filesystem::path journal(const char* exchange) const {
    return folder / "journal" / (std::string(exchange) + ".journal");
  }
  void cut(const char* exchange, std::uint64_t bytes) {
    const auto file = posix_files().open(journal(exchange), OpenMode::read_write);
    file->resize(file->size() - bytes);
  }
};

TEST(LostJournal, WhatIsWholeGoesOn) {
  Begun scene;
  scene.start().reset();
  EXPECT_NO_THROW(scene.start());
}

TEST(LostJournal, ADeletedOneIsNamedWithWhatHoldsAndTheWayOn) {
  Begun scene;
  posix_files().remove_all(scene.folder / "journal");
  const Bytes before = read_file(posix_files(), scene.folder / "ledger/log.jsonl");
  for (const char* text : {"0.0.0.journal", "ready/in/0.0.0/site-0", "restore the folder journal/",
                           "a new run can start from a site's model"}) {
    EXPECT_ERROR_SAYS(scene.start(), coordinator::errors::journal_lost, text);
  }
  EXPECT_EQ(read_file(posix_files(), scene.folder / "ledger/log.jsonl"), before);
  for (const std::string& name : posix_files().list(scene.folder / "journal")) {
    EXPECT_FALSE(name.ends_with(".journal")) << name << ": the run is begun again";
  }
}

TEST(LostJournal, AnotherRunBeginsInTheSameFolder) {
  Begun scene;
  posix_files().remove_all(scene.folder / "journal");
  scene.federation.agreement =
      Federation([](federation::RunAgreement& terms) { terms.seed += 1; }).agreement;
  EXPECT_NO_THROW(scene.start());
}

TEST(LostJournal, AnOlderCopyIsFoundOut) {
  Begun scene;
  posix_files().remove(scene.journal("1.0.0"));
  EXPECT_ERROR_SAYS(scene.start(), coordinator::errors::journal_lost, "ready/in/1.0.0/site-0");
}

TEST(LostJournal, ACutEndThatWasActedOnIsFoundOut) {
  Begun scene;
  scene.cut("1.0.0", 1);
  EXPECT_ERROR_SAYS(scene.start(), coordinator::errors::journal_lost, "ready/in/1.0.0/site-1");
}

// The last record of an exchange is what all sites acknowledge.
TEST(LostJournal, SoIsOneWhoseLastWordsToTheSitesAreMissing) {
  Begun scene;
  posix_files().remove(scene.journal("1.0.0"));
  scene.cut("0.0.0", 1);
  EXPECT_ERROR_SAYS(scene.start(), coordinator::errors::journal_lost, "closed/out/0.0.0/");
}

}  // namespace
}  // namespace concordat::coordinator::testing
