// Mutation tests for decoders of bytes that others wrote: thousands of variants of valid inputs,
// the same in every run, none of which may do more than end in a typed error.
//
//   TEST(HostileBytes, Manifest) {
//     expect_typed({encode(manifest)}, [](ByteView bytes) { parse_manifest(bytes, "m"); });
//   }
//
// Each variant lies in memory of exactly its size, so a sanitizer sees a read beyond it. A test
// fails with the bytes in hex when decoding throws anything but Error, allocates more than its
// allowance or takes more than a second. It also fails if the seeds themselves do not decode.
// The program must link hostile.cpp, which counts what operator new gives out.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "concordat/core/bytes.hpp"

namespace concordat::testing_support {

struct HostileOptions {
  int cases = 3000;
  std::uint64_t seed = 1;
  /// What decoding may have allocated at once: `fixed` and `per_byte` of the variant.
  std::uint64_t fixed_bytes = 1U << 20U;
  std::uint64_t bytes_per_byte = 64;
  bool seeds_decode = true;  ///< false where decoding ends with a refusal even of honest bytes
};

/// How it ended: both happen, or the test says nothing about the decoder.
struct HostileCount {
  int values = 0;
  int errors = 0;
  std::string last{};  ///< what the last error said
};

HostileCount expect_typed(const std::vector<Bytes>& seeds,
                          const std::function<void(ByteView)>& decode,
                          const HostileOptions& options = {});

/// Bytes of a text, for seeds.
inline Bytes bytes_of(std::string_view text) {
  const ByteView view = as_bytes(text);
  return {view.begin(), view.end()};
}

}  // namespace concordat::testing_support
