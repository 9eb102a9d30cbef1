// Owners of CUDA's and cuBLASLt's handles. A failure to destroy one is not reported: the next call
// reports what is wrong with the device.
#pragma once

#include "concordat/core/unique_handle.hpp"
#include "device/cuda/check.hpp"

namespace concordat::device::cuda {

template <typename Type, auto destroy_function>
struct HandleTraits {
  using Handle = Type;
  static constexpr Handle empty() { return nullptr; }
  static void destroy(Handle handle) noexcept { static_cast<void>(destroy_function(handle)); }
};

using StreamHandle = UniqueHandle<HandleTraits<cudaStream_t, &cudaStreamDestroy>>;
using EventHandle = UniqueHandle<HandleTraits<cudaEvent_t, &cudaEventDestroy>>;
using GraphHandle = UniqueHandle<HandleTraits<cudaGraph_t, &cudaGraphDestroy>>;
using GraphExecHandle = UniqueHandle<HandleTraits<cudaGraphExec_t, &cudaGraphExecDestroy>>;
using BlasHandle = UniqueHandle<HandleTraits<cublasLtHandle_t, &cublasLtDestroy>>;
using ProductHandle = UniqueHandle<HandleTraits<cublasLtMatmulDesc_t, &cublasLtMatmulDescDestroy>>;
using LayoutHandle =
    UniqueHandle<HandleTraits<cublasLtMatrixLayout_t, &cublasLtMatrixLayoutDestroy>>;
using PreferenceHandle =
    UniqueHandle<HandleTraits<cublasLtMatmulPreference_t, &cublasLtMatmulPreferenceDestroy>>;

inline EventHandle make_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  return EventHandle(event);
}

}  // namespace concordat::device::cuda
