// Secrets and numeric randomness do not mix: a distribution does not accept SecureRandom.
#include <random>

#include "concordat/crypto/random.hpp"

int draw(concordat::crypto::SecureRandom& random) {
#ifdef CONCORDAT_MISUSE
  return std::uniform_int_distribution<int>(0, 9)(random);
#else
  std::uint8_t byte = 0;
  random.fill({&byte, 1});
  return byte;
#endif
}
