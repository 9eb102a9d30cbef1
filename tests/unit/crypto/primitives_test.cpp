// A few hand-picked vectors, named by their source, so that a plain clone checks every primitive.
#include <gtest/gtest.h>

#include <type_traits>

#include "concordat/crypto/aead.hpp"
#include "concordat/crypto/dsse.hpp"
#include "concordat/crypto/errors.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/crypto/keys.hpp"
#include "concordat/crypto/keystream.hpp"
#include "support/expect_error.hpp"
#include "support/fixed_random.hpp"

namespace concordat::crypto {
namespace {

Bytes hex(std::string_view text) { return from_hex(text, "test"); }

TEST(Hash, Sha256OfFips180) {
  EXPECT_EQ(sha256(as_bytes("abc")).hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 pieces;
  pieces.update(as_bytes("a")).update({}).update(as_bytes("bc"));
  EXPECT_EQ(pieces.finish(), sha256(as_bytes("abc")));
  EXPECT_EQ(pieces.finish(), sha256({}));  // it starts anew
}

TEST(Hash, HmacOfRfc4231) {
  EXPECT_EQ(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?")).hex(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  // The empty key and message, as OpenSSL's own null pointers would get wrong.
  EXPECT_EQ(hmac_sha256({}, {}).hex(),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(Hash, HkdfOfRfc5869) {
  SecretBytes okm = hkdf_sha256(Bytes(22, 0x0b), hex("000102030405060708090a0b0c"),
                                hex("f0f1f2f3f4f5f6f7f8f9"), 42);
  EXPECT_EQ(to_hex(okm.view()),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  SecretBytes no_salt = hkdf_sha256(Bytes(22, 0x0b), {}, {}, 42);
  EXPECT_EQ(to_hex(no_salt.view()),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
  EXPECT_THROW(hkdf_sha256({}, {}, {}, 255 * 32 + 1), Bug);
}

TEST(Keys, Ed25519OfRfc8032) {
  SigningKey key = SigningKey::from_seed(
      hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"));
  EXPECT_EQ(key.verify_key().hex(),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  Bytes message = {0x72};
  Signature signature = key.sign(message);
  EXPECT_EQ(to_hex(signature),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
  EXPECT_TRUE(verify(key.verify_key(), message, signature));
}

TEST(Keys, ADamagedSignatureIsRefusedByName) {
  testing_support::FixedRandom random("keys");
  SigningKey key = SigningKey::generate(random);
  SigningKey other = SigningKey::generate(random);
  Bytes message = {1, 2, 3};
  Signature signature = key.sign(message);
  EXPECT_FALSE(verify(other.verify_key(), message, signature));
  EXPECT_FALSE(verify(key.verify_key(), Bytes{1, 2}, signature));
  EXPECT_FALSE(verify(VerifyKey{}, message, signature));
  Signature damaged = signature;
  damaged[63] ^= 1U;
  EXPECT_ERROR_SAYS(require_signature(key.verify_key(), message, damaged, "roster.json"),
                    errors::bad_signature, "roster.json");
  EXPECT_ERROR_SAYS(
      require_signature(key.verify_key(), message, ByteView(signature).first(63), "roster.json"),
      concordat::errors::malformed, "63 bytes");
}

TEST(Keys, X25519OfRfc7748) {
  OpeningKey alice = OpeningKey::from_private(
      hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
  EXPECT_EQ(alice.seal_key().hex(),
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  SealKey bob =
      SealKey::from_hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f", "test");
  EXPECT_EQ(to_hex(alice.shared_secret(bob).view()),
            "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

TEST(Keys, APointOfSmallOrderIsRefused) {
  testing_support::FixedRandom random("small order");
  OpeningKey key = OpeningKey::generate(random);
  EXPECT_ERROR_SAYS(key.shared_secret(SealKey{}), errors::bad_key, "small order");
  SealKey one{};
  one.bytes[0] = 1;
  EXPECT_ERROR(key.shared_secret(one), errors::bad_key);
}

TEST(Keys, TypesKeepSigningAndSealingApart) {
  static_assert(!std::is_convertible_v<VerifyKey, SealKey>);
  static_assert(!std::is_copy_constructible_v<SigningKey>);
  static_assert(!std::is_copy_constructible_v<OpeningKey>);
  static_assert(!std::is_copy_constructible_v<SecretBytes>);
  VerifyKey key = VerifyKey::from_hex(std::string(64, 'a'), "x");
  EXPECT_EQ(key.hex(), std::string(64, 'a'));
  EXPECT_ERROR(VerifyKey::from_hex("aa", "x"), concordat::errors::malformed);
}

TEST(Aead, TestCase14OfTheGcmPaper) {
  Bytes key(32);
  Bytes sealed = aead_seal(key, Nonce{}, {}, Bytes(16));
  EXPECT_EQ(to_hex(sealed), "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
  EXPECT_EQ(aead_open(key, Nonce{}, {}, sealed), Bytes(16));
}

TEST(Aead, AnyChangeIsRefusedAndNothingIsReleased) {
  Bytes key(32, 7);
  Bytes aad = {1, 2, 3};
  Bytes plain = {10, 20, 30, 40};
  Bytes sealed = aead_seal(key, nonce_of(5, 1), aad, plain);
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    Bytes damaged = sealed;
    damaged[bit / 8] = static_cast<std::uint8_t>(damaged[bit / 8] ^ (1U << (bit % 8)));
    Bytes out(4, 0xee);
    EXPECT_ERROR(aead_open_into(key, nonce_of(5, 1), aad, damaged, out), errors::open_failed);
    EXPECT_EQ(out, Bytes(4)) << "plaintext of a forged text";
  }
  EXPECT_ERROR(aead_open(key, nonce_of(6, 1), aad, sealed), errors::open_failed);
  EXPECT_ERROR(aead_open(key, nonce_of(5, 2), aad, sealed), errors::open_failed);
  EXPECT_ERROR(aead_open(Bytes(32, 8), nonce_of(5, 1), aad, sealed), errors::open_failed);
  EXPECT_ERROR(aead_open(key, nonce_of(5, 1), {}, sealed), errors::open_failed);
  EXPECT_ERROR(aead_open(key, nonce_of(5, 1), aad, Bytes(15)), errors::open_failed);
  EXPECT_THROW(aead_seal(Bytes(16), Nonce{}, {}, plain), Bug);
}

TEST(Aead, WorksInPlace) {
  Bytes key(32, 9);
  Bytes buffer(1000 + aead_tag_bytes, 3);
  aead_seal_into(key, Nonce{}, {}, ByteView(buffer).first(1000), buffer);
  EXPECT_EQ(buffer, aead_seal(key, Nonce{}, {}, Bytes(1000, 3)));
  aead_open_into(key, Nonce{}, {}, buffer, ByteSpan(buffer).first(1000));
  EXPECT_EQ(Bytes(buffer.begin(), buffer.begin() + 1000), Bytes(1000, 3));
}

TEST(Keystream, FirstBlockIsFips197AndPiecesJoin) {
  CtrKeystream zero(Bytes(32));
  Bytes block(16);
  zero.generate(block);
  EXPECT_EQ(to_hex(block), "dc95c078a2408989ad48a21492842087");
  Bytes whole(100'000);
  CtrKeystream(Bytes(32, 5)).generate(whole);
  CtrKeystream pieces(Bytes(32, 5));
  Bytes joined;
  for (std::size_t size : {1U, 15U, 17U, 0U, 64U, 99'903U}) {
    Bytes piece(size, 0xff);  // what was there must not matter
    pieces.generate(piece);
    joined.insert(joined.end(), piece.begin(), piece.end());
  }
  EXPECT_EQ(joined, whole);
}

TEST(Dsse, PaeOfTheSpecification) {
  EXPECT_EQ(to_string(dsse_pae("http://example.com/HelloWorld", as_bytes("hello world"))),
            "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
  EXPECT_NE(dsse_pae("a", as_bytes("b c")), dsse_pae("a b", as_bytes("c")));
}

TEST(Random, FillsAllOfIt) {
  Bytes first(64);
  Bytes second(64);
  system_random().fill(first);
  system_random().fill(second);
  EXPECT_NE(first, second);
  EXPECT_NE(first, Bytes(64));
  system_random().fill({});
}

TEST(SecretMemory, MovesAndCompares) {
  SecretBytes secret = SecretBytes::copy_of(as_bytes("key"));
  SecretBytes moved = std::move(secret);
  EXPECT_TRUE(secret.empty());  // NOLINT: moved-from is empty by contract
  EXPECT_TRUE(constant_time_equal(moved.view(), as_bytes("key")));
  EXPECT_FALSE(constant_time_equal(moved.view(), as_bytes("kez")));
  EXPECT_FALSE(constant_time_equal(moved.view(), as_bytes("keys")));
  EXPECT_TRUE(constant_time_equal({}, {}));
}

}  // namespace
}  // namespace concordat::crypto
