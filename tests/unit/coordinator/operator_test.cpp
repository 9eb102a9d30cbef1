// What an operator can get wrong.
#include "unit/coordinator/scene.hpp"

namespace concordat::coordinator::testing {
namespace {

TEST(Operator, ADamagedMessageForASiteIsNamedWithWhatToDo) {
  Giving scene;
  ASSERT_EQ(scene.give(SiteId(0), SiteId(2), 0, {}, scene.manifest()), "");
  scene.loop.reset();
  const auto path = scene.folder / "relay/site-2/0.message";
  Bytes wire = read_file(posix_files(), path);
  wire[100] ^= 1U;
  write_atomically(posix_files(), path, wire);
  EXPECT_ERROR_SAYS(scene.start(), coordinator::errors::bad_journal, "0.message");
  posix_files().remove(path);
  EXPECT_NO_THROW(scene.start());
}

TEST(Operator, ADeadlineThatCouldNeverBeOverIsRefused) {
  Scene scene;
  scene.deadline = milliseconds(1);
  EXPECT_ERROR_SAYS(scene.start(), concordat::errors::usage, "coordinator.deadline_s");
  scene.deadline = milliseconds(0);
  EXPECT_NO_THROW(scene.start());
  Scene four(4);
  four.deadline = milliseconds(1);
  EXPECT_NO_THROW(four.start());
}

TEST(Operator, AJournalOfAnotherAgreementIsRefusedBeforeAnythingIsWritten) {
  Scene scene;
  scene.start().reset();
  const auto entries = [&] { return read_file(posix_files(), scene.folder / "ledger/log.jsonl"); };
  const Bytes before = entries();
  const Federation other([](federation::RunAgreement& terms) { terms.seed += 1; });
  scene.federation.agreement = other.agreement;
  EXPECT_ERROR_SAYS(scene.start(), coordinator::errors::bad_journal, "another run");
  EXPECT_EQ(entries(), before);
}

TEST(Operator, TwoCoordinatorsDoNotShareAFolder) {
  Scene scene;
  auto loop = scene.start();
  EXPECT_ERROR(scene.start(), concordat::errors::in_use);
}

TEST(Operator, ASitesKeysAreNotTheCoordinators) {
  Scene scene;
  scene.keys = scene.federation.keys(SiteId(1));
  EXPECT_ERROR(scene.start(), coordinator::errors::not_coordinator);
}

TEST(Operator, ABudgetBelowThreeBlocksIsRefused) {
  Scene scene;
  border::ByteBudget small(1000);
  EXPECT_ERROR_SAYS(
      CoordinatorLoop({posix_files(), system_clock(), crypto::system_random(), scene.road, small},
                      scene.plan(), scene.keys),
      border::errors::over_budget, "coordinator.buffer_mib");
}

}  // namespace
}  // namespace concordat::coordinator::testing
