#include "concordat/crypto/certificate.hpp"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "concordat/crypto/errors.hpp"
#include "concordat/crypto/hash.hpp"
#include "support/expect_error.hpp"
#include "support/fixed_random.hpp"

namespace concordat::crypto {
namespace {

class CertificateTest : public testing::Test {
 protected:
  testing_support::FixedRandom random_{"certificate"};
  SigningKey key_ = SigningKey::generate(random_);
};

TEST_F(CertificateTest, CarriesTheKeyAndIsAFunctionOfKeyAndName) {
  TlsIdentity identity = make_tls_identity(key_, "alba");
  EXPECT_EQ(certificate_key(identity.certificate_der), key_.verify_key());
  EXPECT_EQ(spki_digest_of_certificate(identity.certificate_der), spki_digest(key_.verify_key()));
  EXPECT_EQ(make_tls_identity(key_, "alba").certificate_der, identity.certificate_der);
  EXPECT_NE(make_tls_identity(SigningKey::generate(random_), "alba").certificate_der,
            identity.certificate_der);
  EXPECT_TRUE(identity.certificate_pem().starts_with("-----BEGIN CERTIFICATE-----\nMII"));
}

TEST_F(CertificateTest, TheTlsStackTakesIt) {
  TlsIdentity identity = make_tls_identity(key_, "alba");
  SSL_CTX* context = SSL_CTX_new(TLS_method());
  ASSERT_NE(context, nullptr);
  EXPECT_EQ(SSL_CTX_use_certificate_ASN1(context, static_cast<int>(identity.certificate_der.size()),
                                         identity.certificate_der.data()),
            1);
  EXPECT_EQ(
      SSL_CTX_use_PrivateKey_ASN1(EVP_PKEY_ED25519, context, identity.private_key_der.view().data(),
                                  static_cast<long>(identity.private_key_der.size())),
      1);
  EXPECT_EQ(SSL_CTX_check_private_key(context), 1);
  SSL_CTX_free(context);
}

TEST_F(CertificateTest, WhatIsNoCertificateIsRefused) {
  Bytes der = make_tls_identity(key_, "alba").certificate_der;
  EXPECT_ERROR(certificate_key({}), errors::bad_key);
  EXPECT_ERROR(certificate_key(ByteView(der).first(der.size() - 1)), errors::bad_key);
  der.push_back(0);
  EXPECT_ERROR(certificate_key(der), errors::bad_key);
}

// SHA-256 of the key's SubjectPublicKeyInfo as RFC 8410 section 10.1 prints it.
TEST(Spki, DigestOfTheRfc8410Example) {
  Bytes spki = from_base64("MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=", "test");
  VerifyKey key = VerifyKey::from(ByteView(spki).subspan(12), "test");
  EXPECT_EQ(spki_digest(key), sha256(spki));
}

}  // namespace
}  // namespace concordat::crypto
