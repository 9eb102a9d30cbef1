// Prints one hash per thing that `exact` computes, over inputs made from Philox integers alone.
// Built once per instruction set; width_test.cpp compares the outputs.
#include <cstdio>
#include <cstring>
#include <vector>

#include "concordat/exact/normal.hpp"
#include "concordat/exact/outer.hpp"
#include "concordat/exact/philox.hpp"
#include "concordat/exact/scales.hpp"

namespace {

using namespace concordat;
using namespace concordat::exact;

constexpr std::size_t n = 20011;  // no multiple of a vector or a piece

std::uint64_t fnv(const void* data, std::size_t size, std::uint64_t hash = 0xcbf29ce484222325ULL) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  for (std::size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
  return hash;
}

void print(const char* what, std::uint64_t hash) {
  std::printf("%s %016llx\n", what, static_cast<unsigned long long>(hash));
}

template <typename T>
std::uint64_t fnv(const std::vector<T>& v, std::uint64_t hash = 0xcbf29ce484222325ULL) {
  return fnv(v.data(), v.size() * sizeof(T), hash);
}

/// Floats of many magnitudes and both signs, denormals among them.
std::vector<float> numbers(std::uint32_t stream) {
  std::vector<float> out(n);
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t word = random_u32(7, Purpose::synthetic, stream, i);
    const std::uint32_t exponent = i % 97 == 0 ? 0 : 100 + (word >> 8U) % 30;
    const std::uint32_t bits = (word & 0x807FFFFFU) | (exponent << 23U);
    std::memcpy(&out[i], &bits, sizeof(bits));
  }
  return out;
}

void print_quantiser(const std::vector<float>& u, const std::vector<float>& e) {
  std::vector<std::uint32_t> random(n);
  for (std::size_t i = 0; i < n; ++i) random[i] = random_u32(9, Purpose::synthetic, 5, i);
  for (const Quantiser q : {Quantiser{4, Lane::u8}, {8, Lane::u16}, {16, Lane::u32}}) {
    for (const float scale : {0.0371F, 1e-5F}) {
      Bytes codes(n * lane_bytes(q.lane));
      std::vector<float> error(n), d(n);
      quantise(q, {7001, 8192}, scale, u, e, random, 0, codes, error);
      Bytes sums = codes;
      for (int peer = 0; peer < 2; ++peer) add_lanes(q.lane, sums, codes);
      dequantise(q, scale, {3, 8192, 21003}, sums, d);
      const SquareSum squares = sum_of_squares(q, 3, sums);
      const float next = next_scale({.summed_rates = 0.03}, q, q.bits, scale, 3, squares, n);
      print("codes", fnv(codes));
      print("error", fnv(error));
      print("dequantised", fnv(d));
      print("squares", fnv(&squares, sizeof(squares)));
      print("scale", fnv(&next, sizeof(next)));
    }
  }
}

void print_outer(const std::vector<float>& phi, const std::vector<float>& d) {
  for (const OuterKind kind : {OuterKind::fedavg, OuterKind::fedavgm, OuterKind::nesterov,
                               OuterKind::fedadam, OuterKind::fedyogi}) {
    std::vector<float> model = phi, m(n, 0.0F), v(n, 0.0F);
    for (int step = 0; step < 3; ++step) {
      outer_step({.kind = kind, .eta = 0.7F, .mu = 0.9F, .b2 = 0.99F, .tau = 1e-3F}, model, d,
                 {m, v});
    }
    print(name_of(kind).data(), fnv(v, fnv(m, fnv(model))));
  }
}

}  // namespace

int main() {
  std::vector<float> weights(n);
  initialise_normal(3, 1, 2, weights, 0.02F);
  print("normal", fnv(weights));
  initialise_uniform(3, 1, 2, weights, 0.02F);
  print("uniform", fnv(weights));
  const std::vector<float> u = numbers(1), e = numbers(2);
  std::vector<float> update(n);
  make_update(u, e, update);
  print("update", fnv(update));
  print_quantiser(u, e);
  print_outer(u, e);
  return 0;
}
