// A schedule as text: one line per stage, time along the line.
//
//   Schedule schedule = one_f_one_b(2, 3);
//   std::cout << draw(check(schedule), 100);
//
//   time 0
//   stage 0 |F0 F1 .. B0 W0 F2 B1 W1 .. B2 W2
//   stage 1 |.. F0 B0 W0 F1 B1 W1 F2 B2 W2 ...
//
// Pure. Dots are idle time. F3.1 is micro-batch 3 in chunk 1.
#pragma once

#include <string>

#include "concordat/train/schedule_check.hpp"

namespace concordat::train {

/// Lines of at most `width` columns where that can be, in panels one below the other; a panel ends
/// between calls. The shortest call is as wide as its name, unless another would be 24 columns and
/// more: then names are cut. @pre width >= 20.
std::string draw(const ScheduleReport& report, int width);

}  // namespace concordat::train
