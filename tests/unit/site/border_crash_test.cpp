// A border dies at every change that it makes to its disk, one after the other, and is started
// again: the run ends with the same sums, and every ledger verifies.
#include "unit/site/border_world.hpp"

namespace concordat::site::testing {
namespace {

// Faults come `stride` changes after each start, so a restart gets further each time, and over the
// rounds every place between two changes is met.
void crash_all_along(std::uint64_t first, std::uint64_t step, std::uint32_t rounds) {
  BorderWorld world(rounds);
  std::uint64_t next = first;
  int starts_that_died = 0;
  auto restart = [&] {
    // Now and then the fault lies inside the start itself.
    if (next % 4 == 0 && starts_that_died < 200) {
      world.files[1]->fail_at(1 + next % 23);
      try {
        world.start_border(1);
      } catch (const Error&) {
        ++starts_that_died;
        world.files[1]->heal();
        world.start_border(1);
      }
    } else {
      world.files[1]->heal();
      world.start_border(1);
    }
    world.files[1]->fail_at(next);
    next += step;
    if (next > 120) next = first;
  };
  restart();
  for (int i = 0; i < 60'000 && !world.ended[1]; ++i) {
    world.turn();
    if (!world.borders[1]) restart();
  }
  world.files[1]->heal();
  world.run_to_end();
  EXPECT_GT(world.crashes, static_cast<int>(rounds));
  EXPECT_EQ(world.audit(), "");
  EXPECT_EQ(world.ranks[1].round(), rounds);
}

TEST(BorderCrash, AtEveryChangeInTurn) { crash_all_along(20, 1, 6); }
TEST(BorderCrash, AtEveryThirdChange) { crash_all_along(21, 3, 6); }
TEST(BorderCrash, AtEverySeventhChange) { crash_all_along(22, 7, 6); }

TEST(BorderCrash, TogetherWithLostAnswers) {
  BorderWorld world(4);
  std::uint64_t next = 20;
  for (int i = 0; i < 60'000 && !world.ended[0]; ++i) {
    world.road.fail_next(
        SiteId{0},
        i % 2 == 0 ? border::LoopbackRoad::Fault::after : border::LoopbackRoad::Fault::before,
        i % 3 == 0 ? 1 : 0);
    world.turn();
    if (!world.borders[0]) {
      world.files[0]->heal();
      world.start_border(0);
      world.files[0]->fail_at(next);
      next = next > 100 ? 20 : next + 5;
    } else if (i == 5) {
      world.files[0]->fail_at(3);
    }
  }
  world.files[0]->heal();
  world.run_to_end();
  EXPECT_GT(world.crashes, 3);
  EXPECT_EQ(world.audit(), "");
}

}  // namespace
}  // namespace concordat::site::testing
