// What cuBLASLt is asked for: its epilogues, or the passes that stand for them, and TF32.
#include "concordat/device/errors.hpp"
#include "device/cuda/cuda_backend.hpp"
#include "emulator.hpp"
#include "unit/device/device_testing.hpp"

namespace concordat::device::cuda {
namespace {

using testing::Lab;

/// Calls of CUDA that the second run of `work` makes: the first one asks for algorithms.
template <typename Work>
std::uint64_t calls_of(Lab<float>& lab, Work&& work) {
  work();
  lab.exec().stream.synchronize();
  const std::uint64_t before = cuda_emulator::calls();
  work();
  return cuda_emulator::calls() - before;
}

TEST(Epilogues, AreOneProductEachWhereCublasltHasThem) {
  Lab<float> lab("cuda");
  Exec& exec = lab.exec();
  const Tensor a = lab.random({8, 8}, 1);
  const Parameter b(lab.random({8, 8}, 2));
  const Tensor bias = lab.random({8}, 3);
  const Tensor sums = lab.random({8}, 4);
  const Tensor x = lab.out({8, 8});
  const Tensor y = lab.out({8, 8});
  const auto plain = calls_of(lab, [&] { matmul(exec, x, a, b); });
  const auto biased = calls_of(lab, [&] { matmul(exec, x, a, b, {.bias = bias}); });
  // Beside the product: its bias's address, and the address of what the activation is of.
  EXPECT_EQ(biased, plain + 1);
  EXPECT_EQ(calls_of(lab, [&] { matmul_gelu(exec, x, y, a, b, {.bias = bias}); }), plain + 2);
  EXPECT_EQ(calls_of(lab, [&] { matmul_gelu_backward(exec, y, y, a, b, x); }), plain + 1);
  // The sums go to scratch and are added by one kernel.
  const auto with_sums = [&] {
    matmul_row_sums(exec, x, sums, a, b.value(), {.transpose_a = true});
  };
  EXPECT_LE(calls_of(lab, with_sums), plain + 2);
}

TEST(Epilogues, WhereCublasltHasNoneTheOpsThatTheyStandForRun) {
  const auto program = [](Lab<float>& lab) {
    const Tensor a = lab.random({8, 8}, 1);
    const Parameter b(lab.random({8, 8}, 2));
    const Tensor sums = lab.random({8}, 3);
    const Tensor x = lab.out({8, 8});
    const Tensor activation = lab.out({8, 8});
    const Tensor gradient = lab.out({8, 8});
    const Tensor weights = lab.out({8, 8});
    matmul_gelu(lab.exec(), x, activation, a, b, {.bias = lab.random({8}, 4)});
    matmul_gelu_backward(lab.exec(), gradient, gradient, a, b, x);
    matmul_row_sums(lab.exec(), weights, sums, a, b.value(), {.transpose_a = true});
    return testing::Outputs{lab.get(x), lab.get(activation), lab.get(gradient), lab.get(weights),
                            lab.get(sums)};
  };
  const auto fused = testing::run("cuda", program);
  cuda_emulator::play_epilogues(false);
  const auto apart = testing::run("cuda", program);
  cuda_emulator::play_epilogues(true);
  for (std::size_t i = 0; i < fused.size(); ++i) {
    testing::expect_near(fused[i], apart[i], 1e-6, "output " + std::to_string(i));
  }
}

TEST(Epilogues, Tf32RoundsTheOperandsOfF32ProductsAloneAndSaysSo) {
  const auto product = [](const CudaOptions& options, Dtype dtype) {
    Session session(make_cuda_backend(options));
    const auto operand = [&](std::uint64_t seed) {
      const auto numbers = testing::numbers(seed, 32);
      const Tensor wide = session.upload<float>({4, 8}, std::span<const float>(numbers));
      Tensor kept = session.backend().allocate(dtype, {4, 8});
      copy(session.exec(), kept, wide);
      return kept;
    };
    const Tensor c = session.backend().allocate(Dtype::f32, {4, 4});
    matmul(session.exec(), c, operand(1), operand(2), {.transpose_b = true});
    return read_back_all<float>(session.exec(), c).get();
  };
  const auto exact = product({}, Dtype::f32);
  const auto rounded = product({.tf32 = true}, Dtype::f32);
  EXPECT_NE(rounded, exact);
  // 8 products below 1 of operands that are each off by 2^-11 of themselves.
  testing::expect_near(rounded, exact, 8 * 2 * 0x1p-11, "tf32");
  EXPECT_EQ(product({.tf32 = true}, Dtype::bf16), product({}, Dtype::bf16));
  EXPECT_TRUE(
      make_cuda_backend({.tf32 = true})->instructions_in_use().ends_with(", TF32 products"));
}

TEST(Epilogues, Tf32IsRefusedWhereThereIsNone) {
  for (const char* name : {"cpu", "auto", "reference"}) {
    try {
      make_backend(name, {.tf32 = true});
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), errors::not_on_this_device);
      EXPECT_EQ(error.fields().where, "train.tf32");
    }
  }
}

}  // namespace
}  // namespace concordat::device::cuda
