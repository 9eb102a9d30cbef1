#!/usr/bin/env python3
"""A second implementation of the mask keystream (docs/formats/masks.md), for the golden bytes of
masks_test.cpp. Needs the `openssl` program for AES-256-CTR; HKDF-Expand is hmac from the library.
"""
import hashlib
import hmac
import struct
import subprocess

sha = lambda text: hashlib.sha256(text.encode()).digest()
sized = lambda raw: struct.pack("<I", len(raw)) + raw

info = (sized(b"concordat mask v1") + sha("federation") + struct.pack("<III", 3, 0, 0)
        + sha("manifest") + struct.pack("<II", 0, 1) + sized(b"update") + struct.pack("<Q", 7))
key = hmac.new(sha("a pair seed"), info + b"\x01", hashlib.sha256).digest()
stream = subprocess.run(
    ["openssl", "enc", "-aes-256-ctr", "-K", key.hex(), "-iv", "00" * 16],
    input=bytes(16), capture_output=True, check=True).stdout
print(stream[:16].hex())

# The rounding words of block 3 (docs/formats/quantiser.md), for rounding_test.cpp.
info = sized(b"concordat rounding block v1") + struct.pack("<Q", 3)
key = hmac.new(sha("site key"), info + b"\x01", hashlib.sha256).digest()
stream = subprocess.run(
    ["openssl", "enc", "-aes-256-ctr", "-K", key.hex(), "-iv", "00" * 16],
    input=bytes(16), capture_output=True, check=True).stdout
print(", ".join("0x%08x" % w for w in struct.unpack("<II", stream[:8])))
