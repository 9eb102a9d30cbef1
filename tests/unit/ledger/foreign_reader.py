#!/usr/bin/env python3
"""Verifies a ledger with nothing of ours: json, hashlib and (where installed) cryptography.

usage: foreign_reader.py PAGE            the worked example of docs/formats/ledger.md
       foreign_reader.py FOLDER KEYHEX   a ledger folder and its log key
Exit code 0: verified; 1: not; 77: the signature could not be checked (no cryptography package).
"""
import base64
import hashlib
import json
import pathlib
import re
import sys


def leaf(line):
    return hashlib.sha256(b"\x00" + line).digest()


def root(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + root(leaves[:split]) + root(leaves[split:])).digest()


def verify(log, checkpoint, key):
    lines = log.split(b"\n")
    assert lines.pop() == b"", "the last line is torn"
    keys = set()
    for index, line in enumerate(lines):
        entry = json.loads(line)
        assert list(entry) == ["index", "time", "kind", "key", "fields"], f"line {index + 1}"
        assert entry["index"] == index, f"line {index + 1} is out of place"
        assert entry["key"] not in keys, f"line {index + 1} repeats a key"
        keys.add(entry["key"])
    body, signatures = checkpoint.split(b"\n\n", 1)
    body += b"\n"
    origin, size, root_text = body.decode().splitlines()
    covered = [leaf(line) for line in lines[: int(size)]]
    assert len(covered) == int(size), "shorter than the checkpoint"
    assert root(covered) == base64.b64decode(root_text), "the root is not what was signed"
    dash, name, value = signatures.decode().splitlines()[0].split(" ")
    raw = base64.b64decode(value)
    key_id = hashlib.sha256(name.encode() + b"\n\x01" + key).digest()[:4]
    assert (dash, name, raw[:4]) == ("\u2014", origin, key_id), "not signed by this key"
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        print("roots agree; skipped: no package cryptography for the signature")
        return 77
    Ed25519PublicKey.from_public_bytes(key).verify(raw[4:], body)
    print(f"verified: {len(lines)} entries, {size} signed, root {root(covered).hex()}")
    return 0


def main(arguments):
    path = pathlib.Path(arguments[0])
    if path.is_dir():
        key = bytes.fromhex(arguments[1])
        return verify((path / "log.jsonl").read_bytes(), (path / "checkpoint").read_bytes(), key)
    page = path.read_text(encoding="utf-8").split("## Worked example")[1]
    log, checkpoint = re.findall(r"```\n(.*?)```", page, re.S)[:2]
    key = bytes.fromhex(re.search(r"`([0-9a-f]{64})`", page).group(1))
    return verify(log.encode(), checkpoint.encode(), key)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
