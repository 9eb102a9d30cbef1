#include "support/hostile.hpp"

#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <new>
#include <random>

#include "concordat/core/error.hpp"

// ---- what the thread has from operator new, now and at most
// --------------------------------------

namespace {

thread_local std::uint64_t live = 0;
thread_local std::uint64_t peak = 0;

void* count(void* place) {
  if (place == nullptr) throw std::bad_alloc();
  live += ::malloc_usable_size(place);
  peak = std::max(peak, live);
  return place;
}

void uncount(void* place) {
  const std::uint64_t size = place == nullptr ? 0 : ::malloc_usable_size(place);
  live -= std::min(live, size);  // what another thread allocated may end here
  std::free(place);
}

}  // namespace

void* operator new(std::size_t size) { return count(std::malloc(size)); }
void* operator new[](std::size_t size) { return count(std::malloc(size)); }
void* operator new(std::size_t size, std::align_val_t align) {
  const auto step = static_cast<std::size_t>(align);
  return count(std::aligned_alloc(step, (size + step - 1) / step * step));
}
void operator delete(void* place) noexcept { uncount(place); }
void operator delete[](void* place) noexcept { uncount(place); }
void operator delete(void* place, std::size_t) noexcept { uncount(place); }
void operator delete[](void* place, std::size_t) noexcept { uncount(place); }
void operator delete(void* place, std::align_val_t) noexcept { uncount(place); }
void operator delete(void* place, std::size_t, std::align_val_t) noexcept { uncount(place); }

namespace concordat::testing_support {
namespace {

// Sanitizers take fifteen times as long for a case; they see what a plain build does not, so a
// third of the cases is worth more there than all of them here.
#ifdef __SANITIZE_ADDRESS__
constexpr int one_of = 3;
#else
constexpr int one_of = 1;
#endif

// What parsers of text and of numbers trip over.
constexpr std::string_view pieces[] = {"\"",
                                       "{",
                                       "}",
                                       "[",
                                       "]",
                                       ":",
                                       ",",
                                       "\n",
                                       "\r\n",
                                       " ",
                                       "=",
                                       "null",
                                       "-1",
                                       "1e999",
                                       "/",
                                       "\\",
                                       "\\u0000",
                                       "\\ud800",
                                       "..",
                                       "\xff",
                                       "\xc3",
                                       "\xed\xa0\x80",
                                       "18446744073709551616",
                                       "9223372036854775808",
                                       "4294967296",
                                       "00",
                                       "0x1",
                                       "NaN",
                                       "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
                                       "{\"a\":{\"a\":{\"a\":"};
constexpr std::uint64_t lengths[] = {0,          1,          2,           0x7f,
                                     0x80,       0xff,       0x7fff,      0xffff,
                                     0x7fffffff, 0x80000000, 0xffffffff,  0x7fffffffffffffff,
                                     ~0ULL,      ~0ULL - 7,  1ULL << 32U, 1ULL << 62U};

class Mutator {
 public:
  Mutator(const std::vector<Bytes>& seeds, std::uint64_t seed) : seeds_(seeds), random_(seed) {}

  Bytes next() {
    Bytes bytes = seeds_[below(seeds_.size())];
    for (std::uint64_t left = 1 + below(3); left > 0; --left) mutate(bytes);
    return bytes;
  }

 private:
  // std::uniform_int_distribution differs between libraries; this does not.
  std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : random_() % bound; }
  std::ptrdiff_t place(const Bytes& bytes) {
    return static_cast<std::ptrdiff_t>(below(bytes.size() + 1));
  }

  void mutate(Bytes& bytes) {
    switch (bytes.empty() ? 5 : below(9)) {
      case 0:
        bytes[below(bytes.size())] ^= static_cast<std::uint8_t>(1U << below(8));
        break;
      case 1:
        bytes[below(bytes.size())] = static_cast<std::uint8_t>(below(256));
        break;
      case 2:
        bytes.resize(below(bytes.size()));
        break;
      case 3:
        write_length(bytes);
        break;
      case 4: {  // a run is gone, or comes twice
        const std::uint64_t from = below(bytes.size());
        const std::uint64_t size = 1 + below(std::min<std::uint64_t>(40, bytes.size() - from));
        const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(from);
        const auto end = bytes.begin() + static_cast<std::ptrdiff_t>(
                                             std::min<std::uint64_t>(from + size, bytes.size()));
        if (below(2) == 0) {
          bytes.erase(begin, end);
        } else {
          const Bytes run(begin, end);
          bytes.insert(bytes.begin() + place(bytes), run.begin(), run.end());
        }
        break;
      }
      case 5: {
        const std::string_view piece = pieces[below(std::size(pieces))];
        const ByteView view = as_bytes(piece);
        bytes.insert(bytes.begin() + place(bytes), view.begin(), view.end());
        break;
      }
      case 6: {  // the head of one and the tail of another
        const Bytes& other = seeds_[below(seeds_.size())];
        const auto from = static_cast<std::ptrdiff_t>(below(other.size() + 1));
        bytes.resize(below(bytes.size() + 1));
        bytes.insert(bytes.end(), other.begin() + from, other.end());
        break;
      }
      case 7:
        change_number(bytes);
        break;
      default: {
        Bytes noise(1 + below(24));
        for (std::uint8_t& byte : noise) byte = static_cast<std::uint8_t>(below(256));
        bytes.insert(bytes.begin() + place(bytes), noise.begin(), noise.end());
      }
    }
  }

  /// A length field of 1, 2, 4 or 8 bytes that says something else, little-endian.
  void write_length(Bytes& bytes) {
    const std::uint64_t width = std::min<std::uint64_t>(1ULL << below(4), bytes.size());
    const std::uint64_t at = below(bytes.size() - width + 1);
    std::uint64_t value =
        below(4) == 0 ? bytes.size() + below(3) - 1 : lengths[below(std::size(lengths))];
    for (std::uint64_t i = 0; i < width; ++i, value >>= 8U) {
      bytes[at + i] = static_cast<std::uint8_t>(value & 0xffU);
    }
  }

  /// A decimal number in a text becomes another.
  void change_number(Bytes& bytes) {
    const auto digit = [](std::uint8_t byte) { return byte >= '0' && byte <= '9'; };
    const auto start = bytes.begin() + static_cast<std::ptrdiff_t>(below(bytes.size()));
    const auto begin = std::find_if(start, bytes.end(), digit);
    const auto end = std::find_if_not(begin, bytes.end(), digit);
    const std::string text = std::to_string(lengths[below(std::size(lengths))]);
    const auto at = bytes.erase(begin, end);
    bytes.insert(at, text.begin(), text.end());
  }

  const std::vector<Bytes>& seeds_;
  std::mt19937_64 random_;
};

/// One variant. False when there is something to report about it, which `found` says.
bool holds(const Bytes& variant, const std::function<void(ByteView)>& decode,
           const HostileOptions& options, HostileCount& tally, std::string& found) {
  const std::size_t size = variant.size();
  const std::unique_ptr<std::uint8_t[]> exact(new std::uint8_t[size]);
  std::copy(variant.begin(), variant.end(), exact.get());
  const std::uint64_t before = live;
  peak = live;
  const auto begin = std::chrono::steady_clock::now();
  try {
    decode({exact.get(), size});
    ++tally.values;
  } catch (const Error& error) {
    ++tally.errors;
    tally.last = error.what();
    if (error.code().name.empty() || error.fields().what.empty()) found = "an error without words";
  } catch (const std::exception& error) {
    found = std::string("another exception: ") + error.what();
  } catch (...) {
    found = "something that is no exception";
  }
  const auto took = std::chrono::steady_clock::now() - begin;
  const std::uint64_t allowed = options.fixed_bytes + options.bytes_per_byte * size;
  if (peak - before > allowed) {
    found = std::to_string(peak - before) + " bytes allocated, allowed " + std::to_string(allowed);
  }
  if (took > std::chrono::seconds(1)) found = "more than a second";
  return found.empty();
}

}  // namespace

HostileCount expect_typed(const std::vector<Bytes>& seeds,
                          const std::function<void(ByteView)>& decode,
                          const HostileOptions& options) {
  HostileCount tally;
  std::string found;
  for (const Bytes& seed : seeds) {
    HostileCount honest;
    EXPECT_TRUE(holds(seed, decode, options, honest, found)) << "a seed: " << found;
    if (options.seeds_decode) {
      EXPECT_EQ(honest.values, 1) << "a seed does not decode: " << honest.last;
    }
  }
  Mutator mutator(seeds, options.seed);
  const int cases = options.cases / one_of;
  for (int i = 0; i < cases; ++i) {
    const Bytes variant = mutator.next();
    found.clear();
    if (holds(variant, decode, options, tally, found)) {
      // What a test itself expects of a decoded value: one failure says enough.
      if (::testing::Test::HasNonfatalFailure()) return tally;
      continue;
    }
    ADD_FAILURE() << "case " << i << ": " << found << "\nbytes: "
                  << to_hex(ByteView(variant).first(std::min<std::size_t>(variant.size(), 4096)));
    return tally;
  }
  EXPECT_GT(tally.errors, cases / 10) << "hardly anything was refused";
  return tally;
}

}  // namespace concordat::testing_support
