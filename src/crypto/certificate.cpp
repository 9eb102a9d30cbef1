#include "concordat/crypto/certificate.hpp"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "concordat/crypto/hash.hpp"
#include "crypto/evp.hpp"

namespace concordat::crypto {
namespace {

using Certificate = UniqueHandle<EvpTraits<X509, X509_free>>;

// DER of SubjectPublicKeyInfo { Ed25519, 32 bytes }: only the key itself varies (RFC 8410).
constexpr std::uint8_t spki_prefix[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                        0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

void add_extension(X509* certificate, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  bool added = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  require_evp(added, "adding a certificate extension");
}

Bytes der_of(X509* certificate) {
  int size = i2d_X509(certificate, nullptr);
  require_evp(size > 0, "encoding a certificate");
  Bytes der(static_cast<std::size_t>(size));
  std::uint8_t* at = der.data();
  require_evp(i2d_X509(certificate, &at) == size, "encoding a certificate");
  return der;
}

SecretBytes private_der_of(EVP_PKEY* key) {
  int size = i2d_PrivateKey(key, nullptr);
  require_evp(size > 0, "encoding a private key");
  SecretBytes der(static_cast<std::size_t>(size));
  std::uint8_t* at = der.span().data();
  require_evp(i2d_PrivateKey(key, &at) == size, "encoding a private key");
  return der;
}

}  // namespace

TlsIdentity make_tls_identity(const SigningKey& tls, std::string_view name) {
  KeyHandle key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, tls.seed().view().data(),
                                             tls.seed().size()));
  Certificate made(X509_new());
  require_evp(key && made, "making a certificate");
  X509* certificate = made.get();
  std::string common_name = "concordat " + std::string(name);
  X509_NAME* subject = X509_get_subject_name(certificate);
  // "99991231235959Z" is RFC 5280's way to say "no expiry".
  bool filled =
      X509_set_version(certificate, 2) == 1 &&
      ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1 &&
      ASN1_TIME_set_string_X509(X509_getm_notBefore(certificate), "20200101000000Z") == 1 &&
      ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate), "99991231235959Z") == 1 &&
      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common_name.data()),
                                 int_of(common_name.size()), -1, 0) == 1 &&
      X509_set_issuer_name(certificate, subject) == 1 &&
      X509_set_pubkey(certificate, key.get()) == 1;
  require_evp(filled, "filling in a certificate");
  add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE");
  add_extension(certificate, NID_key_usage, "critical,digitalSignature");
  require_evp(X509_sign(certificate, key.get(), nullptr) > 0, "signing a certificate");
  return {der_of(certificate), private_der_of(key.get())};
}

std::string TlsIdentity::certificate_pem() const {
  std::string text = "-----BEGIN CERTIFICATE-----\n";
  std::string base64 = to_base64(certificate_der);
  for (std::size_t at = 0; at < base64.size(); at += 64) text += base64.substr(at, 64) + "\n";
  return text + "-----END CERTIFICATE-----\n";
}

Digest spki_digest(const VerifyKey& key) {
  return Sha256().update(spki_prefix).update(key.view()).finish();
}

VerifyKey certificate_key(ByteView certificate_der) {
  const std::uint8_t* at = certificate_der.data();
  Certificate certificate(d2i_X509(nullptr, &at, static_cast<long>(certificate_der.size())));
  VerifyKey key;
  std::size_t size = key.bytes.size();
  // get0: the certificate keeps the key.
  EVP_PKEY* held = certificate ? X509_get0_pubkey(certificate.get()) : nullptr;
  bool good = held != nullptr && at == certificate_der.data() + certificate_der.size() &&
              EVP_PKEY_get_id(held) == EVP_PKEY_ED25519 &&
              EVP_PKEY_get_raw_public_key(held, key.bytes.data(), &size) == 1 && size == 32;
  ERR_clear_error();
  if (good) return key;
  throw Error(errors::bad_key, {.what = "a certificate has no usable key",
                                .where = "TLS certificate of the peer",
                                .found = std::to_string(certificate_der.size()) + " bytes of DER",
                                .expected = "an X.509 certificate with an Ed25519 key",
                                .remedy = "use the certificate that concordat made"});
}

Digest spki_digest_of_certificate(ByteView certificate_der) {
  return spki_digest(certificate_key(certificate_der));
}

}  // namespace concordat::crypto
