// The emulated tensor cores: products of operands that are laid over the lanes as PTX says, and the
// way there from shared memory.
#include "tensor_cores.cuh"

#include "device/cuda/cuda_backend.hpp"
#include "device/cuda/cuda_stream.hpp"
#include "device/cuda/launch.cuh"
#include "device/cuda/views.cuh"
#include "emulator.hpp"
#include "unit/device/device_testing.hpp"

namespace concordat::device::cuda {
namespace {

using testing::numbers;

// d: [16, 8], a: [16, 16], b: [16, 8]. Every lane takes its numbers by their place in the matrices.
template <typename T>
__global__ void product_kernel(Rows<float> d, Rows<float> a, Rows<float> b) {
  const int g = static_cast<int>(threadIdx.x) / 4;
  const int t = static_cast<int>(threadIdx.x) % 4;
  std::uint32_t left[4];
  for (int i = 0; i < 4; ++i) {
    const int row = g + i % 2 * 8;
    const int column = 2 * t + i / 2 * 8;
    left[i] = pair_in_word<T>(a.load(row, column), a.load(row, column + 1));
  }
  std::uint32_t right[2];
  for (int i = 0; i < 2; ++i) {
    const int row = 2 * t + i * 8;
    right[i] = pair_in_word<T>(b.load(row, g), b.load(row + 1, g));
  }
  float sums[4] = {1.0F, 1.0F, 1.0F, 1.0F};
  multiply_add<T>(sums, left, right[0], right[1]);
  for (int i = 0; i < 4; ++i) d.store(g + i / 2 * 8, 2 * t + i % 2, sums[i]);
}

// in: [32, 8] numbers, four matrices one below the other; out[m]: what each lane gets of matrix m.
template <bool transposed>
__global__ void matrices_kernel(Rows<float> low, Rows<float> high, Rows<float> in, int shift) {
  __shared__ Shared<std::uint32_t, 32 * 4> words;
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = 0; i < 4; ++i) {
    words.store(lane * 4 + i, pair_in_word<__half>(in.load(lane, 2 * i), in.load(lane, 2 * i + 1)));
  }
  __syncwarp();
  std::uint32_t got[4];
  load_matrices<transposed>(got, words, lane * 4 + shift);
  for (int m = 0; m < 4; ++m) {
    low.store(m, lane, cuda_emulator::half_of<__half>(got[m], 0));
    high.store(m, lane, cuda_emulator::half_of<__half>(got[m], 1));
  }
}

class TensorCores : public ::testing::Test {
 protected:
  void TearDown() override { cuda_emulator::recover(); }
  Session session{make_cuda_backend({.checking = true})};
  cudaStream_t stream() { return dynamic_cast<CudaStream&>(session.exec().stream).handle(); }
  Tensor upload(const Shape& shape, const std::vector<float>& values) {
    return session.upload<float>(shape, std::span<const float>(values));
  }
  std::vector<float> get(const Tensor& t) { return read_back_all<float>(session.exec(), t).get(); }
};

TEST_F(TensorCores, MultiplyWhatIsLaidOverTheLanes) {
  // Quarters below 2: exact in both formats, products and sums in f32.
  std::vector<float> a = numbers(1, 256);
  std::vector<float> b = numbers(2, 128);
  for (auto* each : {&a, &b}) {
    for (float& x : *each) x = std::round(x * 8.0F) / 4.0F;
  }
  const Tensor d = upload({16, 8}, std::vector<float>(128, 0.0F));
  const auto check = [&](auto* kernel) {
    launch(stream(), {1}, {32}, kernel, rows<float>(d), rows<float>(upload({16, 16}, a)),
           rows<float>(upload({16, 8}, b)));
    const auto found = get(d);
    for (std::size_t i = 0; i < 16; ++i) {
      for (std::size_t j = 0; j < 8; ++j) {
        float sum = 1.0F;
        for (std::size_t k = 0; k < 16; ++k) sum += a[i * 16 + k] * b[k * 8 + j];
        EXPECT_EQ(found[i * 8 + j], sum) << i << ", " << j;
      }
    }
  };
  check(&product_kernel<__nv_bfloat16>);
  check(&product_kernel<__half>);
}

TEST_F(TensorCores, AreGivenMatricesFromSharedMemoryAlsoTransposed) {
  std::vector<float> in;
  for (int i = 0; i < 256; ++i) in.push_back(static_cast<float>(i));
  const Tensor low = upload({4, 32}, std::vector<float>(128, 0.0F));
  const Tensor high = upload({4, 32}, std::vector<float>(128, 0.0F));
  for (const bool transposed : {false, true}) {
    launch(stream(), {1}, {32}, transposed ? &matrices_kernel<true> : &matrices_kernel<false>,
           rows<float>(low), rows<float>(high), rows<float>(upload({32, 8}, in)), 0);
    const auto first = get(low);
    const auto second = get(high);
    for (std::size_t m = 0; m < 4; ++m) {
      for (std::size_t lane = 0; lane < 32; ++lane) {
        const std::size_t g = lane / 4;
        const std::size_t t = 2 * (lane % 4);
        const auto at = [&](std::size_t row, std::size_t column) {
          return static_cast<float>(m * 64 + row * 8 + column);
        };
        EXPECT_EQ(first[m * 32 + lane], transposed ? at(t, g) : at(g, t));
        EXPECT_EQ(second[m * 32 + lane], transposed ? at(t + 1, g) : at(g, t + 1));
      }
    }
  }
}

TEST_F(TensorCores, WantRowsAtMultiplesOf16Bytes) {
  const Tensor out = upload({4, 32}, std::vector<float>(128, 0.0F));
  launch(stream(), {1}, {32}, &matrices_kernel<false>, rows<float>(out), rows<float>(out),
         rows<float>(upload({32, 8}, numbers(1, 256))), 1);
  EXPECT_THROW(session.exec().stream.synchronize(), Error);
  EXPECT_NE(cuda_emulator::fault_text().find("no multiple of 16 bytes"), std::string::npos);
}

}  // namespace
}  // namespace concordat::device::cuda
