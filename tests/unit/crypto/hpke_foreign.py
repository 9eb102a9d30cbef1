#!/usr/bin/env python3
"""HPKE by somebody else (PyPI: pyhpke), for tests that hold ours to it. All arguments are hex.

hpke_foreign.py check                     exit 0 if pyhpke is there
hpke_foreign.py seal PUBLIC INFO AAD PT   prints enc || ciphertext
hpke_foreign.py open PRIVATE INFO AAD ENC_CT
hpke_foreign.py golden                    prints the golden value of hpke_test.cpp
"""
import sys

try:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey
    from pyhpke.kem_key import KEMKeyPair
except ImportError as problem:
    sys.exit(f"pyhpke is not installed: {problem}")

SUITE = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES256_GCM)


def private(raw):
    return KEMKey.from_pyca_cryptography_key(X25519PrivateKey.from_private_bytes(raw))


def public(raw):
    return KEMKey.from_pyca_cryptography_key(X25519PublicKey.from_public_bytes(raw))


def public_of(raw):
    return X25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw()


def main():
    if sys.argv[1] == "check":
        return
    values = [bytes.fromhex(value) for value in sys.argv[2:]]
    if sys.argv[1] == "seal":
        key, info, aad, plain = values
        enc, sender = SUITE.create_sender_context(public(key), info)
        print((enc + sender.seal(plain, aad)).hex())
    elif sys.argv[1] == "open":
        key, info, aad, sealed = values
        print(SUITE.create_recipient_context(sealed[:32], private(key), info).open(sealed[32:], aad).hex())
    elif sys.argv[1] == "golden":
        # Keys, info, text and associated data of RFC 9180 A.1.1, sealed with AES-256-GCM.
        sk_e = bytes.fromhex("52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736")
        sk_r = bytes.fromhex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8")
        fresh = KEMKeyPair(private(sk_e), public(public_of(sk_e)))
        enc, sender = SUITE.create_sender_context(public(public_of(sk_r)), b"Ode on a Grecian Urn", eks=fresh)
        print((enc + sender.seal(b"Beauty is truth, truth beauty", b"Count-0")).hex())


main()
