#include "concordat/exact/float_environment.hpp"

#include <xmmintrin.h>

namespace concordat::exact {

namespace {
/// All exceptions masked, round to nearest, neither FTZ (bit 15) nor DAZ (bit 6).
constexpr unsigned strict_mode = 0x1F80U;
/// Everything but the six sticky exception flags.
constexpr unsigned mode_bits = ~0x3FU;
}  // namespace

StrictFloats::StrictFloats() : saved_(_mm_getcsr()) {
  // Writing the register costs far more than reading it, and nearly always nothing is to change.
  if ((saved_ & mode_bits) != strict_mode) _mm_setcsr(strict_mode);
}

StrictFloats::~StrictFloats() {
  if ((saved_ & mode_bits) != strict_mode) _mm_setcsr(saved_);
}

}  // namespace concordat::exact
