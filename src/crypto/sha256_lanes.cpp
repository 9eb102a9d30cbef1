#include "crypto/sha256_lanes.hpp"

// GCC 12 takes the intrinsics' own placeholders for values that nobody set.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

#include <algorithm>

#include "concordat/core/error.hpp"

namespace concordat::crypto {
namespace {

using Starts = std::array<const std::uint8_t*, num_lanes>;
constexpr std::size_t block_bytes = 64;
constexpr std::size_t length_bytes = 8;

// FIPS 180-4, 4.2.2 and 5.3.3.
constexpr std::array<std::uint32_t, 64> round_constants{
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
constexpr std::array<std::uint32_t, 8> initial{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                               0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw")

using Words = __m512i;  // one 32-bit word of each message

/// Row i, 16 words of message i, becomes word i of every message.
inline void transpose(Words (&rows)[16]) {
  Words turned[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    turned[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    turned[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    rows[i] = _mm512_unpacklo_epi64(turned[i], turned[i + 2]);
    rows[i + 1] = _mm512_unpackhi_epi64(turned[i], turned[i + 2]);
    rows[i + 2] = _mm512_unpacklo_epi64(turned[i + 1], turned[i + 3]);
    rows[i + 3] = _mm512_unpackhi_epi64(turned[i + 1], turned[i + 3]);
  }
  // Even quarters, then odd ones: of neighbours, then of halves.
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    turned[i] = _mm512_shuffle_i32x4(rows[i], rows[4 + i], 0x88);
    turned[4 + i] = _mm512_shuffle_i32x4(rows[i], rows[4 + i], 0xdd);
    turned[8 + i] = _mm512_shuffle_i32x4(rows[8 + i], rows[12 + i], 0x88);
    turned[12 + i] = _mm512_shuffle_i32x4(rows[8 + i], rows[12 + i], 0xdd);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    rows[i] = _mm512_shuffle_i32x4(turned[i], turned[8 + i], 0x88);
    rows[8 + i] = _mm512_shuffle_i32x4(turned[i], turned[8 + i], 0xdd);
  }
}

constexpr int exclusive_or = 0x96;  // truth tables of three bits
constexpr int choose = 0xca;
constexpr int majority = 0xe8;

template <int A, int B, int C>
inline Words three_turns(Words x) {
  return _mm512_ternarylogic_epi32(_mm512_ror_epi32(x, A), _mm512_ror_epi32(x, B),
                                   _mm512_ror_epi32(x, C), exclusive_or);
}

template <int A, int B, int Shift>
inline Words two_turns_and_shift(Words x) {
  return _mm512_ternarylogic_epi32(_mm512_ror_epi32(x, A), _mm512_ror_epi32(x, B),
                                   _mm512_srli_epi32(x, Shift), exclusive_or);
}

inline Words add(Words a, Words b) { return _mm512_add_epi32(a, b); }

/// `count` blocks of every message from `starts` on. FIPS 180-4, 6.2.2, whose names these are.
void compress(Words (&state)[8], const Starts& starts, std::size_t count) {
  const Words big_endian = _mm512_set4_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203);
  for (std::size_t at = 0; at < count * block_bytes; at += block_bytes) {
    Words w[16];
#pragma GCC unroll 16
    for (std::size_t i = 0; i < 16; ++i) w[i] = _mm512_loadu_si512(starts[i] + at);
    transpose(w);
#pragma GCC unroll 16
    for (Words& word : w) word = _mm512_shuffle_epi8(word, big_endian);
    Words a = state[0], b = state[1], c = state[2], d = state[3];
    Words e = state[4], f = state[5], g = state[6], h = state[7];
    for (std::size_t done = 0; done < 64; done += 16) {
#pragma GCC unroll 16
      for (std::size_t i = 0; i < 16; ++i) {
        const auto k = _mm512_set1_epi32(static_cast<int>(round_constants[done + i]));
        const Words t1 = add(add(h, add(w[i], k)), add(three_turns<6, 11, 25>(e),
                                                       _mm512_ternarylogic_epi32(e, f, g, choose)));
        const Words t2 =
            add(three_turns<2, 13, 22>(a), _mm512_ternarylogic_epi32(a, b, c, majority));
        h = g, g = f, f = e, e = add(d, t1), d = c, c = b, b = a, a = add(t1, t2);
        if (done == 48) continue;  // the words of the next sixteen rounds
        w[i] = add(add(w[i], two_turns_and_shift<7, 18, 3>(w[(i + 1) % 16])),
                   add(w[(i + 9) % 16], two_turns_and_shift<17, 19, 10>(w[(i + 14) % 16])));
      }
    }
    const Words after[8]{a, b, c, d, e, f, g, h};
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) state[i] = add(state[i], after[i]);
  }
}

std::array<Digest, num_lanes> hash(std::uint8_t prefix,
                                   std::span<const ByteView, num_lanes> messages) {
  const std::size_t size = messages[0].size();
  // The first block is the prefix and 63 bytes; the last one or two end with a one bit and the
  // length of it all in bits.
  const std::size_t whole = (size - (block_bytes - 1)) / block_bytes;
  const std::size_t middle = block_bytes - 1;
  const std::size_t rest = size - middle - whole * block_bytes;
  const std::size_t tail_bytes =
      rest + 1 + length_bytes <= block_bytes ? block_bytes : 2 * block_bytes;
  std::array<std::array<std::uint8_t, block_bytes>, num_lanes> heads;
  std::array<std::array<std::uint8_t, 2 * block_bytes>, num_lanes> tails{};
  Starts head_starts, middle_starts, tail_starts;
  for (std::size_t lane = 0; lane < num_lanes; ++lane) {
    const ByteView message = messages[lane];
    heads[lane][0] = prefix;
    std::copy_n(message.begin(), middle, heads[lane].begin() + 1);
    auto& tail = tails[lane];
    std::copy_n(message.end() - static_cast<std::ptrdiff_t>(rest), rest, tail.begin());
    tail[rest] = 0x80;
    const std::uint64_t bits = (size + 1) * 8;
    for (std::size_t i = 0; i < length_bytes; ++i) {
      tail[tail_bytes - 1 - i] = static_cast<std::uint8_t>(bits >> (8 * i));
    }
    head_starts[lane] = heads[lane].data();
    middle_starts[lane] = message.data() + middle;
    tail_starts[lane] = tail.data();
  }
  Words state[8];
  for (std::size_t i = 0; i < 8; ++i) state[i] = _mm512_set1_epi32(static_cast<int>(initial[i]));
  compress(state, head_starts, 1);
  compress(state, middle_starts, whole);
  compress(state, tail_starts, tail_bytes / block_bytes);
  std::array<Digest, num_lanes> digests;
  for (std::size_t i = 0; i < 8; ++i) {
    std::array<std::uint32_t, num_lanes> words;
    _mm512_storeu_si512(words.data(), state[i]);
    for (std::size_t lane = 0; lane < num_lanes; ++lane) {
      for (std::size_t byte = 0; byte < 4; ++byte) {
        digests[lane].bytes[4 * i + byte] =
            static_cast<std::uint8_t>(words[lane] >> (24 - 8 * byte));
      }
    }
  }
  return digests;
}

#pragma GCC pop_options

}  // namespace

bool has_lanes() {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0;
}

std::array<Digest, num_lanes> sha256_lanes(std::uint8_t prefix,
                                           std::span<const ByteView, num_lanes> messages) {
  for (const ByteView message : messages) {
    CONCORDAT_REQUIRE(message.size() == messages[0].size() && message.size() >= shortest_in_lanes,
                      std::to_string(message.size()));
  }
  return hash(prefix, messages);
}

}  // namespace concordat::crypto
