#include "concordat/crypto/random.hpp"

#include <openssl/rand.h>

#include "crypto/evp.hpp"

namespace concordat::crypto {
namespace {

class SystemRandom final : public SecureRandom {
 public:
  void fill(ByteSpan out) override {
    if (out.empty()) return;
    // The private generator: its output is never shown to anybody else in this process.
    require_evp(RAND_priv_bytes(out.data(), int_of(out.size())) == 1, "drawing random bytes");
  }
};

}  // namespace

SecureRandom& system_random() {
  static SystemRandom random;
  return random;
}

}  // namespace concordat::crypto
