// Work that is captured once and replayed: what it does, what it cannot hold, failures of its
// calls, and that the emulated CUDA keeps CUDA's rules for it.
#include <map>
#include <thread>

#include "concordat/device/errors.hpp"
#include "device/cuda/cuda_backend.hpp"
#include "device/cuda/cuda_stream.hpp"
#include "emulator.hpp"
#include "unit/device/device_testing.hpp"

namespace concordat::device::cuda {
namespace {

using testing::numbers;
using Values = std::vector<float>;

class Graphs : public ::testing::Test {
 protected:
  void TearDown() override {
    EXPECT_EQ(cuda_emulator::census().things(), 0U) << "something was not given back";
    cuda_emulator::recover();
  }
};

TEST_F(Graphs, OnlyTheCudaBackEndCaptures) {
  EXPECT_TRUE(make_cuda_backend({})->captures());
  for (const std::string& name : backend_names()) {
    Session session(name);
    EXPECT_FALSE(session.backend().captures()) << name;
    EXPECT_THROW(session.backend().capture(session.exec().stream, [] {}), Bug) << name;
  }
}

TEST_F(Graphs, WorkIsRecordedAndRunsWithEachLaunchOnWhatIsInMemoryThen) {
  Session session(make_cuda_backend({.checking = true}));
  Exec& exec = session.exec();
  const Tensor x = session.upload<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor w = session.upload<float>({2, 3}, {1, 0, 1, 0, 1, 0});
  const Tensor y = session.upload<float>({2, 2}, {0, 0, 0, 0});
  const Tensor total = session.upload<float>({}, {0});
  const auto work = [&] {
    matmul(exec, y, x, w, {.transpose_b = true});
    sum(exec, total, y, Write::accumulate);
  };
  const auto value = [&] { return read_back<float>(exec, total).get(); };
  work();
  EXPECT_EQ(value(), 21.0F);
  cuda_emulator::take_called();
  const auto graph = session.backend().capture(exec.stream, work);
  EXPECT_EQ(value(), 21.0F);
  graph->launch();
  EXPECT_EQ(value(), 42.0F);
  write<float>(exec, x, numbers(1, 6));
  graph->launch();
  graph->launch();
  float once = 0.0F;
  for (const float each : read_back_all<float>(exec, y).get()) once += each;
  EXPECT_FLOAT_EQ(value(), 42.0F + 2.0F * once);
  auto called = cuda_emulator::take_called();
  EXPECT_EQ(called["cudaGraphLaunch"], 3U);
  EXPECT_EQ(called["cublasLtMatmul"], 1U);
}

TEST_F(Graphs, WhatACaptureCannotHoldIsABugAndTheStreamGoesOn) {
  for (const bool checking : {true, false}) {
    Session session(make_cuda_backend({.checking = checking}));
    Exec& exec = session.exec();
    Backend& backend = session.backend();
    const Tensor x = session.upload<float>({2}, {1, 2});
    const Event before = exec.stream.record();
    const auto other = backend.make_stream();
    const auto graph = backend.capture(exec.stream, [&] { add(exec, x, x, x); });
    Tensor last = backend.allocate(Dtype::f32, {2});
    const std::map<std::string, std::function<void()>> wrong{
        {"new memory", [&] { backend.allocate(Dtype::f32, {2}); }},
        {"memory was given back", [&] { last = Tensor(); }},
        {"a transfer",
         [&] {
           write<float>(exec, x, Values{3, 4});
         }},
        {"a transfer between", [&] { read_back_all<float>(exec, x); }},
        {"work for the host", [&] { exec.stream.enqueue([] {}); }},
        {"an event", [&] { exec.stream.record(); }},
        {"waiting for an event", [&] { exec.stream.wait(before); }},
        {"waiting for a stream", [&] { exec.stream.synchronize(); }},
        {"waiting", [&] { other->synchronize(); }},
        {"a graph", [&] { graph->launch(); }},
        {"in the middle", [&] { backend.capture(exec.stream, [] {}); }},
    };
    for (const auto& [what, work] : wrong) {
      try {
        backend.capture(exec.stream, [&] {
          add(exec, x, x, x);
          work();
        });
        FAIL() << what;
      } catch (const Bug& bug) {
        EXPECT_NE(std::string(bug.what()).find(what), std::string::npos) << bug.what();
      }
      EXPECT_EQ(cuda_emulator::census().graphs, 1U) << what;
    }
    EXPECT_EQ(read_back_all<float>(exec, x).get(), (Values{1, 2}));
    backend.capture(exec.stream, [&] { add(exec, x, x, x); })->launch();
    EXPECT_EQ(read_back_all<float>(exec, x).get(), (Values{2, 4}));
  }
}

TEST_F(Graphs, WhatTheWorkThrowsEndsTheCapture) {
  Session session(make_cuda_backend({}));
  Exec& exec = session.exec();
  const Tensor x = session.upload<float>({2}, {1, 2});
  EXPECT_THROW(session.backend().capture(exec.stream,
                                         [&] {
                                           add(exec, x, x, x);
                                           throw std::runtime_error("half-way");
                                         }),
               std::runtime_error);
  add(exec, x, x, x);
  EXPECT_EQ(read_back_all<float>(exec, x).get(), (Values{2, 4}));
}

TEST_F(Graphs, OtherThreadsTakeMemoryAndGiveItBackMeanwhile) {
  for (const bool checking : {true, false}) {
    Session session(make_cuda_backend({.checking = checking}));
    Exec& exec = session.exec();
    const Tensor x = session.upload<float>({2}, {1, 2});
    Tensor held = session.backend().allocate(Dtype::f32, {1000});
    const std::byte* const address = held.raw_bytes();
    fill(exec, held, 1.0);
    bool filled = false;
    exec.stream.enqueue([&] { filled = true; });
    const auto graph = session.backend().capture(exec.stream, [&] {
      EXPECT_TRUE(filled) << "of work before the capture no event could tell now";
      add(exec, x, x, x);
      std::thread([&] {
        session.backend().allocate(Dtype::f32, {2000});
        held = Tensor();
      }).join();
      add(exec, x, x, x);
    });
    graph->launch();
    EXPECT_EQ(read_back_all<float>(exec, x).get(), (Values{4, 8}));
    EXPECT_EQ(session.backend().allocate(Dtype::f32, {1000}).raw_bytes(), address);
  }
}

TEST_F(Graphs, ReplaysAreCheckedLikeOtherWork) {
  const auto fault_of = [](bool written, bool kept) {
    {
      Session session(make_cuda_backend({.checking = true}));
      Exec& exec = session.exec();
      Tensor x = session.backend().allocate(Dtype::f32, {4});
      const Tensor y = session.backend().allocate(Dtype::f32, {4});
      const auto graph = session.backend().capture(exec.stream, [&] { add(exec, y, x, x); });
      if (written) fill(exec, x, 1.0);
      if (!kept) x = Tensor();
      graph->launch();
      if (written && kept) {
        EXPECT_EQ(read_back_all<float>(exec, y).get(), Values(4, 2.0F));
      } else {
        EXPECT_THROW(exec.stream.synchronize(), Error);
      }
    }
    const std::string text = cuda_emulator::fault_text();
    cuda_emulator::recover();
    return text.substr(0, text.find(','));
  };
  EXPECT_EQ(fault_of(true, true), "");
  EXPECT_EQ(fault_of(false, true), "16 bytes read at byte 0 of an allocation of 16 bytes");
  EXPECT_EQ(fault_of(true, false), "16 bytes read at device memory that is not allocated");
}

/// Captures, replays, with scratch and a product inside.
Values small_program() {
  Session session(make_cuda_backend({}));
  Exec& exec = session.exec();
  const Tensor x = session.upload<float>({2, 8}, numbers(1, 16));
  const Tensor w = session.upload<float>({3, 8}, numbers(2, 24));
  const Tensor y = session.backend().allocate(Dtype::f32, {2, 3});
  const Tensor total = session.upload<float>({}, {0});
  const auto work = [&] {
    matmul(exec, y, x, w, {.transpose_b = true});
    sum(exec, total, y, Write::accumulate);
  };
  work();
  const auto graph = session.backend().capture(exec.stream, work);
  graph->launch();
  write<float>(exec, x, numbers(3, 16));
  graph->launch();
  Values values = read_back_all<float>(exec, y).get();
  values.push_back(read_back<float>(exec, total).get());
  return values;
}

TEST_F(Graphs, EachCallThatFailsOnceIsAnErrorAndNothingIsLost) {
  const Values expected = small_program();
  cuda_emulator::take_called();
  small_program();
  const auto called = cuda_emulator::take_called();
  for (const char* name :
       {"cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphInstantiateWithFlags",
        "cudaGraphLaunch", "cudaGraphExecDestroy", "cudaGraphDestroy"}) {
    EXPECT_TRUE(called.contains(name)) << name;
  }
  for (const auto& [name, count] : called) {
    for (std::uint64_t nth = 1; nth <= count; ++nth) {
      cuda_emulator::fail_call(name, nth);
      bool threw = false;
      try {
        EXPECT_EQ(small_program(), expected) << name << " " << nth;
      } catch (const Error& error) {
        threw = true;
        EXPECT_NE(error.fields().where.find(name), std::string::npos)
            << name << ": " << error.what();
      }
      EXPECT_EQ(cuda_emulator::failed_call(), name);
      const bool of_capture = name.starts_with("cudaStream") && name.ends_with("Capture");
      if (of_capture || name == "cudaGraphInstantiateWithFlags" || name == "cudaGraphLaunch" ||
          name == "cublasLtMatmul" || name == "cudaLaunchKernelEx") {
        EXPECT_TRUE(threw) << name << " " << nth;
      }
      EXPECT_EQ(cuda_emulator::census().things(), 0U) << name << " " << nth;
      cuda_emulator::recover();
    }
  }
}

/// CUDA itself, without the plug-in.
class CaptureRules : public Graphs {
 protected:
  void SetUp() override {
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess);
    ASSERT_EQ(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), cudaSuccess);
  }
  void TearDown() override {
    EXPECT_EQ(cudaEventDestroy(event_), cudaSuccess);
    EXPECT_EQ(cudaStreamDestroy(stream_), cudaSuccess);
    Graphs::TearDown();
  }
  /// `call` in the middle of a capture fails with `error`, and so does what comes after it.
  template <typename What>
  void expect_invalid(What&& call, cudaError_t error,
                      cudaStreamCaptureMode mode = cudaStreamCaptureModeThreadLocal) {
    ASSERT_EQ(cudaStreamBeginCapture(stream_, mode), cudaSuccess);
    EXPECT_EQ(call(), error);
    EXPECT_EQ(cudaMemsetAsync(nullptr, 0, 0, stream_), cudaErrorStreamCaptureInvalidated);
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(graph, nullptr);
    EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  }
  cudaStream_t stream_ = nullptr;
  cudaEvent_t event_ = nullptr;
};

TEST_F(CaptureRules, AskingAfterWhatIsCapturedInvalidatesIt) {
  expect_invalid([&] { return cudaStreamSynchronize(stream_); }, cudaErrorStreamCaptureUnsupported);
  expect_invalid([&] { return cudaStreamQuery(stream_); }, cudaErrorStreamCaptureUnsupported);
  const auto of_the_capture = [&](auto ask) {
    return [this, ask] {
      EXPECT_EQ(cudaEventRecord(event_, stream_), cudaSuccess);
      return ask(event_);
    };
  };
  for (const auto mode : {cudaStreamCaptureModeThreadLocal, cudaStreamCaptureModeRelaxed}) {
    expect_invalid(of_the_capture(&cudaEventQuery), cudaErrorCapturedEvent, mode);
    expect_invalid(of_the_capture(&cudaEventSynchronize), cudaErrorCapturedEvent, mode);
  }
}

TEST_F(CaptureRules, AnEventOfOutsideCannotBeWaitedForInside) {
  ASSERT_EQ(cudaEventRecord(event_, stream_), cudaSuccess);
  expect_invalid([&] { return cudaStreamWaitEvent(stream_, event_); },
                 cudaErrorStreamCaptureIsolation);
}

TEST_F(CaptureRules, UnsafeCallsAreForTheModeToForbid) {
  void* memory = nullptr;
  const auto take = [&] {
    const cudaError_t status = cudaMalloc(&memory, 16);
    if (status != cudaSuccess) return status;
    return cudaFree(memory);
  };
  const auto elsewhere = [&] {
    cudaError_t status = cudaSuccess;
    std::thread([&] { status = take(); }).join();
    return status;
  };
  expect_invalid(take, cudaErrorStreamCaptureUnsupported);
  expect_invalid(take, cudaErrorStreamCaptureUnsupported, cudaStreamCaptureModeGlobal);
  expect_invalid(elsewhere, cudaErrorStreamCaptureUnsupported, cudaStreamCaptureModeGlobal);
  expect_invalid([&] { return cudaEventQuery(event_); }, cudaErrorStreamCaptureUnsupported);
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(elsewhere(), cudaSuccess);
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed), cudaSuccess);
  EXPECT_EQ(take(), cudaSuccess);
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
}

TEST_F(CaptureRules, WhoBeginsEndsAndGraphsAreCounted) {
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorIllegalState);
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal),
            cudaErrorIllegalState);
  std::thread([&] {
    EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureWrongThread);
  }).join();
  int runs = 0;
  const auto count = [](void* argument) { ++*static_cast<int*>(argument); };
  EXPECT_EQ(cudaLaunchHostFunc(stream_, count, &runs), cudaSuccess);
  ASSERT_EQ(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
  cudaGraphExec_t exec = nullptr;
  ASSERT_EQ(cudaGraphInstantiateWithFlags(&exec, graph), cudaSuccess);
  EXPECT_EQ(cuda_emulator::census().graphs, 2U);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  EXPECT_EQ(cudaGraphLaunch(exec, stream_), cudaSuccess);
  EXPECT_EQ(cudaGraphLaunch(exec, stream_), cudaSuccess);
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);  // in the middle of its work
  EXPECT_EQ(runs, 0);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(cudaGraphLaunch(exec, stream_), cudaErrorInvalidValue);
}

}  // namespace
}  // namespace concordat::device::cuda
