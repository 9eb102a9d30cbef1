#!/usr/bin/env python3
"""A second implementation of `rms-1` (docs/formats/quantiser.md) in plain Python.

Prints the worked example of that page, which quantiser_test.cpp repeats. fp32 results are made by
rounding a double: for one +, -, * or / of two fp32 numbers that is the correctly rounded result.
"""
import math
import struct


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def bits(x):
    return "%08x" % struct.unpack("<I", struct.pack("<f", x))[0]


def quantise(q, tokens, cap, scale, u, e, random):
    offset = 1 << (q - 1)
    to_steps = f32(tokens / (cap * scale))
    from_steps = f32(scale * cap / tokens) if tokens else 0.0
    codes, errors = [], []
    for ui, ei, word in zip(u, e, random):
        v = f32(ui + ei)
        y = min(max(f32(v * to_steps), -offset), offset - 1)
        floor = math.floor(y)
        c = floor + (1 if f32(y - floor) > (word >> 8) * 2.0**-24 else 0) if tokens else 0
        codes.append(c + offset)
        errors.append(f32(v - f32(c * from_steps)))
    return codes, errors


def dequantise(q, scale, survivors, cap, total, sums):
    factor = scale * cap / total
    return [f32((s - survivors * (1 << (q - 1))) * factor) for s in sums]


def next_scale(q, scale, survivors, sums, spread, floor, cap):
    offset = 1 << (q - 1)
    squares = sum((s - survivors * offset) ** 2 for s in sums)
    root = math.isqrt((squares << 16) // (len(sums) * survivors))
    wanted = scale * root * spread / (256.0 * offset)
    held = min(max(wanted, scale * 0.5), scale * 2.0)
    return squares, root, f32(min(max(held, floor), cap))


def main():
    q, cap, scale = 4, 8, f32(0.1)
    sites = [
        (8, [0.25, -0.31, 0.0, 1.5, -0.8, 0.04], [0.0, 0.01, 0.0, 0.0, -0.1, 0.0]),
        (4, [0.1, -0.2, 0.0, 0.9, -0.7, 0.5], [0.02, 0.0, 0.0, 0.3, 0.0, 0.0]),
        (6, [-0.05, 0.33, 0.0, 0.2, -0.6, 0.45], [0.0, 0.0, 0.05, 0.0, 0.0, 0.0]),
    ]
    words = [0x80000000, 0x20000000, 0x00000000, 0xFFFFFFFF, 0x40000000, 0xC0000000]
    sums = [0] * len(words)
    for tokens, u, e in sites:
        u, e = [f32(x) for x in u], [f32(x) for x in e]
        codes, errors = quantise(q, tokens, cap, scale, u, e, words)
        sums = [a + b for a, b in zip(sums, codes)]
        print("tokens", tokens, "codes", codes, "errors", [bits(x) for x in errors],
              ["%.6g" % x for x in errors])
    total = sum(s[0] for s in sites)
    print("sums", sums, "W", total)
    d = dequantise(q, scale, 3, cap, total, sums)
    print("d", [bits(x) for x in d], ["%.6g" % x for x in d])
    squares, root, scale_2 = next_scale(q, scale, 3, sums, 3.0, 1e-12, 1e3)
    print("squares", squares, "root", root, "next scale", bits(scale_2), "%.9g" % scale_2)


if __name__ == "__main__":
    main()
