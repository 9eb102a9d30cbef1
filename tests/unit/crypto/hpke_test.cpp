#include "concordat/crypto/hpke.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "concordat/crypto/errors.hpp"
#include "crypto/hpke_schedule.hpp"
#include "support/expect_error.hpp"
#include "support/fixed_random.hpp"

namespace concordat::crypto {
namespace {

Bytes hex(std::string_view text) { return from_hex(text, "test"); }

struct Appendix {
  HpkeAead aead;
  const char *private_e, *private_r, *enc, *shared, *key, *nonce;
};

// RFC 9180 A.1.1 and A.2.1. The appendix has no AES-256-GCM with X25519: encapsulation and key
// schedule, which do not depend on the cipher but for its number and key length, are held to it.
TEST(Hpke, EncapsulationAndScheduleOfRfc9180) {
  const Appendix vectors[] = {
      {HpkeAead::aes_128_gcm, "52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736",
       "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8",
       "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
       "fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc",
       "4531685d41d65f03dc48f6b8302c05b0", "56d890e5accaaf011cff4b7d"},
      {HpkeAead::chacha20_poly1305,
       "f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600",
       "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb",
       "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a",
       "0bbe78490412b4bbea4812666f7916932b828bba79942424abb65244930d69a7",
       "ad2744de8e17f4ebba575b3f5f5a8fa1f69c2a07f6e7500bc60ca6e3e3ec1c91",
       "5c4d98150661b848853b547f"}};
  for (const Appendix& v : vectors) {
    OpeningKey fresh = OpeningKey::from_private(hex(v.private_e));
    OpeningKey recipient = OpeningKey::from_private(hex(v.private_r));
    EXPECT_EQ(fresh.seal_key().hex(), v.enc);
    SecretBytes dh = fresh.shared_secret(recipient.seal_key());
    SecretBytes shared =
        hpke_kem_secret(dh.view(), fresh.seal_key().view(), recipient.seal_key().view());
    EXPECT_EQ(to_hex(shared.view()), v.shared);
    HpkeKeys keys = hpke_schedule(shared, as_bytes("Ode on a Grecian Urn"), v.aead);
    EXPECT_EQ(to_hex(keys.key.view()), v.key);
    EXPECT_EQ(to_hex(keys.nonce), v.nonce);
  }
}

// Keys, info and text of A.1.1 with AES-256-GCM: `hpke_foreign.py golden` (pyhpke 0.6.5) wrote it.
TEST(Hpke, GoldenValueOfAForeignImplementation) {
  testing_support::GivenRandom random(
      hex("52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736"));
  OpeningKey recipient = OpeningKey::from_private(
      hex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8"));
  Bytes sealed = hpke_seal(recipient.seal_key(), as_bytes("Ode on a Grecian Urn"),
                           as_bytes("Count-0"), as_bytes("Beauty is truth, truth beauty"), random);
  EXPECT_EQ(to_hex(sealed),
            "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"
            "090b7dc225419f7da9e8b460becfbb96a26c7964d79b8010d397fa838530a32a"
            "397b14f5776db19ff5e57734e0");
}

class HpkeRoundTrip : public testing::Test {
 protected:
  testing_support::FixedRandom random_{"hpke"};
  OpeningKey key_ = OpeningKey::generate(random_);
  Bytes info_ = {1, 2, 3};
  Bytes aad_ = {4, 5};
  Bytes plain_ = {6, 7, 8, 9};
};

TEST_F(HpkeRoundTrip, OpensOnlyForItsRecipientInItsContext) {
  Bytes sealed = hpke_seal(key_.seal_key(), info_, aad_, plain_, random_);
  EXPECT_EQ(sealed.size(), plain_.size() + hpke_overhead_bytes);
  EXPECT_EQ(hpke_open(key_, info_, aad_, sealed), plain_);
  EXPECT_TRUE(
      constant_time_equal(hpke_open_secret(key_, info_, aad_, sealed).view(), ByteView(plain_)));
  EXPECT_ERROR(hpke_open(OpeningKey::generate(random_), info_, aad_, sealed), errors::open_failed);
  EXPECT_ERROR(hpke_open(key_, aad_, aad_, sealed), errors::open_failed);
  EXPECT_ERROR(hpke_open(key_, info_, info_, sealed), errors::open_failed);
  EXPECT_NE(sealed, hpke_seal(key_.seal_key(), info_, aad_, plain_, random_));  // fresh each time
}

TEST_F(HpkeRoundTrip, DamagedCutAndForgedTextsAreRefused) {
  Bytes sealed = hpke_seal(key_.seal_key(), info_, aad_, plain_, random_);
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    Bytes damaged = sealed;
    damaged[i] ^= 1U;
    EXPECT_ERROR(hpke_open(key_, info_, aad_, damaged), errors::open_failed);
    EXPECT_ERROR(hpke_open(key_, info_, aad_, ByteView(sealed).first(i)), errors::open_failed);
  }
  Bytes small_order = sealed;
  std::fill_n(small_order.begin(), 32, std::uint8_t{0});
  EXPECT_ERROR_SAYS(hpke_open(key_, info_, aad_, small_order), errors::open_failed, "small order");
  EXPECT_ERROR(hpke_seal(SealKey{}, info_, aad_, plain_, random_), errors::bad_key);
}

/// Runs the foreign implementation; nullopt-like empty string when it failed.
std::string foreign(const std::string& arguments) {
  const char* python = std::getenv("CONCORDAT_PYTHON");
  std::string command = std::string(python != nullptr ? python : "python3") + " " +
                        CONCORDAT_SOURCE_DIR "/tests/unit/crypto/hpke_foreign.py " + arguments +
                        " 2>/dev/null";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return "failed";
  std::string out;
  char piece[256];
  while (std::fgets(piece, sizeof piece, pipe) != nullptr) out += piece;
  bool good = ::pclose(pipe) == 0;
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return good ? out : "failed";
}

TEST_F(HpkeRoundTrip, AgreesWithPyhpkeInBothDirections) {
  if (foreign("check") == "failed") {
    GTEST_SKIP() << "skipped: no pyhpke (pip install pyhpke, or set CONCORDAT_PYTHON)";
  }
  std::string theirs = foreign("seal " + key_.seal_key().hex() + " " + to_hex(info_) + " " +
                               to_hex(aad_) + " " + to_hex(plain_));
  EXPECT_EQ(hpke_open(key_, info_, aad_, hex(theirs)), plain_);
  Bytes ours = hpke_seal(key_.seal_key(), info_, aad_, plain_, random_);
  EXPECT_EQ(foreign("open " + to_hex(key_.private_bytes().view()) + " " + to_hex(info_) + " " +
                    to_hex(aad_) + " " + to_hex(ours)),
            to_hex(plain_));
}

}  // namespace
}  // namespace concordat::crypto
