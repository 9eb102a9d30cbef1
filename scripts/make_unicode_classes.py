#!/usr/bin/env python3
"""Writes src/data/unicode_classes.cpp: code points of the classes that tokenizers' patterns use.

    scripts/make_unicode_classes.py > src/data/unicode_classes.cpp

Letters are Unicode's general category L, numbers N, from this Python's unicodedata.
"""
import sys
import unicodedata


def ranges(first):
    run = None
    for point in range(0x110000):
        if unicodedata.category(chr(point))[0] == first:
            run = (run[0], point) if run else (point, point)
        elif run:
            yield run
            run = None


def table(name, first):
    print(f"constexpr Range {name}[] = {{")
    line = "   "
    for begin, end in ranges(first):
        item = f" {{0x{begin:x}, 0x{end:x}}},"
        if len(line) + len(item) > 100:
            print(line)
            line = "   "
        line += item
    print(line + "};")


print(f"""// Written by scripts/make_unicode_classes.py from Unicode {unicodedata.unidata_version}.
#include "data/unicode_classes.hpp"

#include <algorithm>
#include <iterator>

namespace concordat::data {{
namespace {{

struct Range {{
  char32_t begin;
  char32_t end;
}};

// clang-format off""")
table("letters", "L")
table("numbers", "N")
print("""// clang-format on

template <std::size_t n>
bool in(const Range (&ranges)[n], char32_t point) {
  const auto next = std::upper_bound(std::begin(ranges), std::end(ranges), point,
                                     [](char32_t p, const Range& range) { return p < range.begin; });
  return next != std::begin(ranges) && point <= std::prev(next)->end;
}

}  // namespace

bool is_letter(char32_t point) { return in(letters, point); }
bool is_number(char32_t point) { return in(numbers, point); }

bool is_space(char32_t p) {
  return (p >= 9 && p <= 13) || p == 0x20 || p == 0x85 || p == 0xa0 || p == 0x1680 ||
         (p >= 0x2000 && p <= 0x200a) || p == 0x2028 || p == 0x2029 || p == 0x202f ||
         p == 0x205f || p == 0x3000;
}

}  // namespace concordat::data""")
sys.stdout.flush()
