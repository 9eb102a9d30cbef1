// The TLS face of an Ed25519 key: a self-signed certificate and the digest that peers pin.
//
//   TlsIdentity me = make_tls_identity(keys.tls, keys.name);   // DER for SSL_CTX_use_*_ASN1
//   Digest pin = spki_digest(peer.tls);                        // from the roster
//   if (spki_digest_of_certificate(peer_der) != pin) refuse();
//
// The certificate carries no trust: only the pinned public key does. It is a function of key and
// name alone (fixed serial and dates, no expiry), so no clock decides whether two sites can talk.
#pragma once

#include "concordat/crypto/keys.hpp"

namespace concordat::crypto {

struct TlsIdentity {
  Bytes certificate_der;
  SecretBytes private_key_der;  ///< PKCS#8
  std::string certificate_pem() const;
};

TlsIdentity make_tls_identity(const SigningKey& tls, std::string_view name);

/// SHA-256 of the DER SubjectPublicKeyInfo of an Ed25519 key.
Digest spki_digest(const VerifyKey& key);
/// The Ed25519 key of a certificate. @throws Error(bad_key) if it holds another kind of key or is
/// no certificate.
VerifyKey certificate_key(ByteView certificate_der);
Digest spki_digest_of_certificate(ByteView certificate_der);

}  // namespace concordat::crypto
