// The plug-in's use of CUDA: memory, streams, failures of each call.
#include <future>
#include <map>

#include "concordat/core/worker_stream.hpp"
#include "concordat/device/errors.hpp"
#include "device/cuda/cuda_backend.hpp"
#include "device/cuda/cuda_stream.hpp"
#include "emulator.hpp"
#include "unit/device/device_testing.hpp"

namespace concordat::device::cuda {
namespace {

using testing::numbers;

class Runtime : public ::testing::Test {
 protected:
  void TearDown() override {
    EXPECT_EQ(cuda_emulator::census().things(), 0U) << "something was not given back";
    cuda_emulator::recover();
  }
  /// The error that `what` throws.
  template <typename What>
  static Error error_of(What&& what) {
    try {
      what();
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "no error";
    return Error(errors::cuda_failed, {});
  }
};

TEST_F(Runtime, SaysWhatItRunsOn) {
  const auto backend = make_cuda_backend({});
  EXPECT_EQ(backend->name(), "cuda");
  EXPECT_EQ(backend->instructions_in_use(),
            "cuda: emulated device (no GPU) (sm_90), CUDA 13.0, driver 13.0, cuBLASLt 130000");
}

TEST_F(Runtime, WithoutDriverOrGpuThereIsOneClearError) {
  const auto found = [&] {
    const Error error = error_of([] { make_cuda_backend({}); });
    EXPECT_EQ(error.code(), errors::no_gpu);
    return error.fields().found;
  };
  cuda_emulator::play_driver(0);
  EXPECT_EQ(found(), "no NVIDIA driver");
  cuda_emulator::play_driver(13000);
  cuda_emulator::play_devices(0);
  EXPECT_EQ(found(), "a driver, but no visible GPU");
  cuda_emulator::play_devices(1, 7);
  EXPECT_EQ(found(), "emulated device (no GPU) (sm_70)");
  cuda_emulator::play_devices(1);
}

TEST_F(Runtime, MemoryIsKeptAndHandedOutAgainBehindWhatStreamsHold) {
  Session session(make_cuda_backend({}));
  Exec& exec = session.exec();
  const std::byte* first = nullptr;
  {
    const Tensor x = session.backend().allocate(Dtype::f32, {1000});
    first = x.raw_bytes();
    fill(exec, x, 1.0);
  }
  // The fill has not run: its memory is not free yet.
  const Tensor other = session.backend().allocate(Dtype::f32, {1000});
  EXPECT_NE(other.raw_bytes(), first);
  exec.stream.synchronize();
  const Tensor again = session.backend().allocate(Dtype::f32, {1000});
  EXPECT_EQ(again.raw_bytes(), first);
  const Tensor larger = session.backend().allocate(Dtype::f32, {100000});
  EXPECT_NE(larger.raw_bytes(), first);
}

TEST_F(Runtime, UsedUpMemoryIsFirstTakenFromThePoolAndThenAnError) {
  cuda_emulator::play_memory(std::size_t{20} << 20U);
  {
    Session session(make_cuda_backend({}));
    for (const std::int64_t mib : {9, 5, 13, 17}) {  // what was kept fits none of the next
      const Tensor x = session.backend().allocate(Dtype::u8, {mib << 20U});
      fill(session.exec(), x.slice(0, 0, 100), 0.0);
    }
    const Error error =
        error_of([&] { session.backend().allocate(Dtype::u8, {std::int64_t{30} << 20U}); });
    EXPECT_EQ(error.code(), errors::cuda_out_of_memory);
    EXPECT_EQ(error.fields().expected, "31457280 bytes");
    EXPECT_NE(error.fields().found.find("of 20971520 bytes free"), std::string::npos)
        << error.what();
  }
  cuda_emulator::play_memory(std::size_t{6} << 30U);
}

TEST_F(Runtime, HostWorkRunsInStreamOrderAndItsFailureStays) {
  Session session(make_cuda_backend({}));
  Stream& stream = session.exec().stream;
  std::vector<int> order;
  stream.enqueue([&] { order.push_back(1); });
  const Event first = stream.record();
  stream.enqueue([&] { order.push_back(2); });
  EXPECT_TRUE(order.empty());
  first.wait();
  EXPECT_EQ(order, std::vector<int>{1});
  stream.synchronize();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
  stream.enqueue([] { throw std::runtime_error("a message was lost"); });
  stream.enqueue([&] { order.push_back(3); });
  const Event behind = stream.record();
  EXPECT_THROW(behind.wait(), std::runtime_error);
  EXPECT_THROW(stream.synchronize(), std::runtime_error);
  EXPECT_EQ(order.size(), 2U);
}

TEST_F(Runtime, WhatHostWorkHoldsIsGivenBackByTheHostsThread) {
  // A tensor inside the work: to give its memory back calls CUDA, which CUDA's thread must not.
  Session session(make_cuda_backend({}));
  {
    const Tensor held = session.backend().allocate(Dtype::f32, {10});
    session.exec().stream.enqueue([held] { static_cast<void>(held.size()); });
  }
  session.exec().stream.synchronize();
}

TEST_F(Runtime, WaitsForEventsOfHostThreads) {
  Session session(make_cuda_backend({}));
  WorkerStream messages;
  std::promise<void> go;
  messages.enqueue([&go] { go.get_future().wait(); });
  const Event sent = messages.record();
  EXPECT_FALSE(sent.happened());
  go.set_value();
  session.exec().stream.wait(sent);
  EXPECT_TRUE(sent.happened());
}

TEST_F(Runtime, AReadIsThereOnceItsStreamHasComeSoFarAlsoFromATransposedView) {
  Session session(make_cuda_backend({}));
  const Tensor x = session.upload<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  const auto pending = read_back_all<float>(session.exec(), x.transpose(0, 1));
  while (!pending.ready()) {
  }
  EXPECT_EQ(pending.get(), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(read_back_all<float>(session.exec(), x.slice(1, 1, 2)).get(),
            (std::vector<float>{2, 3, 5, 6}));
}

TEST_F(Runtime, AnOpOnAMessageStreamIsABug) {
  Session session(make_cuda_backend({}));
  const auto messages = session.backend().make_message_stream();
  Exec side{session.backend(), *messages, session.exec().arena};
  const Tensor x = session.backend().allocate(Dtype::f32, {1});
  EXPECT_THROW(fill(side, x, 1.0), Bug);
}

TEST_F(Runtime, HeadsThatAreTooWideAreRefusedByName) {
  testing::Lab<float> lab("cuda");
  const Tensor q = lab.random({2, 160}, 1);
  const AttentionShape shape{.head_dim = 160, .q_length = 2, .k_length = 2};
  const Error error = error_of([&] {
    attention_forward(lab.exec(), lab.out({2, 160}), lab.out({2, 1}), q, q, q, shape);
  });
  EXPECT_EQ(error.code(), errors::not_on_this_device);
  EXPECT_EQ(error.fields().found, "head_dim 160");
}

/// A bit of everything: uploads, scratch, a product with each epilogue, sums, streams, reads.
std::vector<float> small_program() {
  Session session(make_cuda_backend({}));
  Exec& exec = session.exec();
  const Tensor a = session.upload<float>({3, 8}, numbers(1, 24));
  const Tensor b = session.upload<float>({4, 8}, numbers(2, 32));
  const Tensor bias = session.upload<float>({4}, numbers(3, 4));
  const Tensor residual = session.upload<float>({3, 4}, numbers(4, 12));
  const Tensor c = session.backend().allocate(Dtype::f32, {3, 4});
  matmul(exec, c, a, b, {.transpose_b = true, .bias = bias, .residual = residual});
  const Tensor x = session.backend().allocate(Dtype::f32, {3, 8});
  const Tensor activation = session.backend().allocate(Dtype::f32, {3, 8});
  const Tensor sums = session.upload<float>({3}, numbers(6, 3));
  const Tensor weights = session.backend().allocate(Dtype::f32, {3, 8});
  matmul_gelu(exec, x, activation, c, Parameter(b), {});
  matmul_row_sums(exec, weights, sums, residual.reshape({4, 3}), b, {.transpose_a = true});
  add(exec, activation, activation, weights);
  const auto other = session.backend().make_stream();
  other->wait(exec.stream.record());
  Arena arena(session.backend(), *other);
  Exec side{session.backend(), *other, arena};
  const Tensor total = session.backend().allocate(Dtype::f32, {});
  sum(side, total, c);
  const auto pending = read_back<float>(side, total);
  auto values = read_back_all<float>(exec, c).get();
  values.push_back(pending.get());
  for (const Tensor& each : {activation, sums}) {
    for (const float value : read_back_all<float>(exec, each).get()) values.push_back(value);
  }
  return values;
}

TEST_F(Runtime, EachCallThatFailsOnceIsAnErrorAndNothingIsLost) {
  const std::uint64_t before = cuda_emulator::calls();
  const std::vector<float> expected = small_program();
  const std::uint64_t count = cuda_emulator::calls() - before;
  ASSERT_GT(count, 50U);
  std::map<std::string, int> failed;
  for (std::uint64_t nth = 1; nth <= count; ++nth) {
    cuda_emulator::fail_call(nth);
    bool threw = false;
    try {
      // A failure to give something back is not reported; the result is right then.
      EXPECT_EQ(small_program(), expected)
          << "call " << nth << ", " << cuda_emulator::failed_call();
    } catch (const Error& error) {
      threw = true;
      EXPECT_TRUE(error.code() == errors::cuda_failed || error.code() == errors::cuda_out_of_memory)
          << error.what();
      EXPECT_NE(error.fields().where.find(cuda_emulator::failed_call()), std::string::npos)
          << cuda_emulator::failed_call() << ": " << error.what();
    }
    const std::string name = cuda_emulator::failed_call();
    const bool gives_back =
        name.find("Destroy") != std::string::npos || name.find("Free") != std::string::npos;
    // Where memory is given back an event that cannot be made or recorded costs the block, no more;
    // and memory that cannot be had is asked for a second time.
    const bool made_good = name == "cudaEventCreateWithFlags" || name == "cudaEventRecord" ||
                           name == "cudaMalloc" || name == "cudaHostAlloc" ||
                           name == "cudaStreamSynchronize";
    EXPECT_TRUE(threw || gives_back || made_good) << "call " << nth << ", " << name;
    ++failed[name];
    EXPECT_EQ(cuda_emulator::census().things(), 0U) << "call " << nth << ", " << name;
    cuda_emulator::recover();
  }
  EXPECT_GE(failed.size(), 20U);  // kinds of calls
}

}  // namespace
}  // namespace concordat::device::cuda
