// Running one program of ops on several back ends and comparing what comes out.
//
//   for_each_backend([&](const std::string& name) {
//     expect_close(run(name, program), run("reference", program), 1e-5F);
//   });
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "concordat/device/ops/attention.hpp"
#include "concordat/device/ops/column_sums.hpp"
#include "concordat/device/ops/cross_entropy.hpp"
#include "concordat/device/ops/elementwise.hpp"
#include "concordat/device/ops/embedding.hpp"
#include "concordat/device/ops/fused_products.hpp"
#include "concordat/device/ops/gelu.hpp"
#include "concordat/device/ops/layer_norm.hpp"
#include "concordat/device/ops/matmul.hpp"
#include "concordat/device/ops/optimizer.hpp"
#include "concordat/device/ops/rms_norm.hpp"
#include "concordat/device/ops/rope.hpp"
#include "concordat/device/ops/swiglu.hpp"
#include "concordat/device/pending.hpp"

namespace concordat::device::testing {

/// Values in [-1, 1) that depend on seed and index alone.
template <typename T = float>
std::vector<T> numbers(std::uint64_t seed, std::int64_t count) {
  std::vector<T> values(static_cast<std::size_t>(count));
  std::uint64_t state = seed * 0x9e3779b97f4a7c15U + 1;
  for (T& value : values) {
    state ^= state << 13U;
    state ^= state >> 7U;
    state ^= state << 17U;
    value = static_cast<T>(static_cast<double>(state >> 40U) / 8388608.0 - 1.0);
  }
  return values;
}

inline std::vector<std::int32_t> indices(std::uint64_t seed, std::int64_t count,
                                         std::int32_t limit) {
  std::vector<std::int32_t> values;
  for (double each : numbers<double>(seed, count)) {
    values.push_back(static_cast<std::int32_t>((each + 1.0) / 2.0 * limit));
  }
  return values;
}

/// The back ends that this test program runs ops on: those of the program (tested_backends.cpp), or
/// the emulated plug-in (cuda/tested_backends.cpp). `reference` is always among them.
std::vector<std::string> tested_backends();
std::unique_ptr<Backend> make_tested_backend(const std::string& name);

/// A session whose tensors are made and read in one line.
template <typename T = float>
class Lab {
 public:
  explicit Lab(const std::string& backend) : session(make_tested_backend(backend)) {}
  Exec& exec() { return session.exec(); }
  Tensor in(Shape shape, const std::vector<T>& values) {
    return session.upload<T>(std::move(shape), std::span<const T>(values));
  }
  Tensor random(Shape shape, std::uint64_t seed) {
    std::int64_t count = num_elements(shape);
    return in(std::move(shape), numbers<T>(seed, count));
  }
  Tensor ints(const std::vector<std::int32_t>& values) {
    return session.upload<std::int32_t>({static_cast<std::int64_t>(values.size())},
                                        std::span<const std::int32_t>(values));
  }
  /// Full of NaN on every back end: an op that reads its output is found out.
  Tensor out(Shape shape) {
    Tensor made = session.backend().allocate(dtype_of<T>, std::move(shape));
    fill(session.exec(), made, std::nan(""));
    return made;
  }
  std::vector<T> get(const Tensor& t) { return read_back_all<T>(session.exec(), t).get(); }
  Session session;
};

using Outputs = std::vector<std::vector<float>>;
using Program = std::function<Outputs(Lab<float>&)>;

inline Outputs run(const std::string& backend, const Program& program) {
  Lab<float> lab(backend);
  return program(lab);
}

/// |found - expected| <= tolerance * (1 + |expected|), element by element; equal infinities pass.
template <typename T>
void expect_near(const std::vector<T>& found, const std::vector<T>& expected, double tolerance,
                 const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i] == expected[i]) continue;
    double limit = tolerance * (1.0 + std::fabs(static_cast<double>(expected[i])));
    double gap = std::fabs(static_cast<double>(found[i]) - static_cast<double>(expected[i]));
    ASSERT_TRUE(gap <= limit) << what << " [" << i << "]: " << found[i] << ", expected "
                              << expected[i];
  }
}

/// `cpu` (where this machine has it) and `cuda` within the tolerance of the reference and the same
/// in every run, `strict` equal to it.
inline void check_backends(const std::string& what, const Program& program, double tolerance) {
  Outputs expected = run("reference", program);
  for (const std::string& name : tested_backends()) {
    if (name == "reference") continue;
    Outputs found = run(name, program);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      expect_near(found[i], expected[i], name == "strict" ? 0.0 : tolerance,
                  name + " " + what + " output " + std::to_string(i));
    }
    if (name != "strict") {
      Outputs again = run(name, program);
      for (std::size_t i = 0; i < found.size(); ++i) {
        expect_near(again[i], found[i], 0.0, name + ", run again: " + what);
      }
    }
  }
}

}  // namespace concordat::device::testing
