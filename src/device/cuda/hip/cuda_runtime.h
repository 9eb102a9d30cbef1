// CUDA's runtime by AMD's HIP: the names that the plug-in uses, so that its kernels compile for
// gfx90a (scripts/hip-compile-check.sh). Compiled only; nothing here ever ran on a GPU.
//
// A wavefront of gfx90a has 64 lanes, the kernels think in warps of 32. The two halves of a
// wavefront are two such warps: shuffles are of width 32 (HIP takes no mask), a ballot is cut to
// the caller's half, and __syncwarp orders the whole wavefront, which is more than was asked for.
// Blocks whose x is 32 or a multiple of it, as all here have, never spread a warp over two
// wavefronts.
//
// What there is not: products (cublasLt.h beside this has names alone), cuDNN, NCCL, asynchronous
// copies and tensor core instructions. A kernel that needs one does not compile here.
#pragma once

#include <hip/hip_fp16.h>
#include <hip/hip_runtime.h>

using cudaError_t = hipError_t;
using cudaStream_t = hipStream_t;
using cudaEvent_t = hipEvent_t;
using cudaGraph_t = hipGraph_t;
using cudaGraphExec_t = hipGraphExec_t;
using cudaDeviceProp = hipDeviceProp_t;
using cudaHostFn_t = hipHostFn_t;

#define __grid_constant__
#define cudaSuccess hipSuccess
#define cudaErrorInvalidValue hipErrorInvalidValue
#define cudaErrorMemoryAllocation hipErrorOutOfMemory
#define cudaErrorInsufficientDriver hipErrorInsufficientDriver
#define cudaErrorNoDevice hipErrorNoDevice
#define cudaErrorNotReady hipErrorNotReady
#define cudaStreamNonBlocking hipStreamNonBlocking
#define cudaEventDisableTiming hipEventDisableTiming
#define cudaHostAllocDefault hipHostMallocDefault
#define cudaMemcpyHostToDevice hipMemcpyHostToDevice
#define cudaMemcpyDeviceToHost hipMemcpyDeviceToHost
#define cudaMemcpyDeviceToDevice hipMemcpyDeviceToDevice
#define cudaDriverGetVersion hipDriverGetVersion
#define cudaRuntimeGetVersion hipRuntimeGetVersion
#define cudaGetDeviceCount hipGetDeviceCount
#define cudaSetDevice hipSetDevice
#define cudaGetDeviceProperties hipGetDeviceProperties
#define cudaMemGetInfo hipMemGetInfo
#define cudaMalloc hipMalloc
#define cudaFree hipFree
#define cudaHostAlloc hipHostMalloc
#define cudaFreeHost hipHostFree
#define cudaStreamCreateWithFlags hipStreamCreateWithFlags
#define cudaStreamDestroy hipStreamDestroy
#define cudaStreamSynchronize hipStreamSynchronize
#define cudaStreamWaitEvent hipStreamWaitEvent
#define cudaEventCreateWithFlags hipEventCreateWithFlags
#define cudaEventDestroy hipEventDestroy
#define cudaEventRecord hipEventRecord
#define cudaEventQuery hipEventQuery
#define cudaEventSynchronize hipEventSynchronize
#define cudaMemcpyAsync hipMemcpyAsync
#define cudaMemcpy2DAsync hipMemcpy2DAsync
#define cudaMemsetAsync hipMemsetAsync
#define cudaLaunchHostFunc hipLaunchHostFunc
#define cudaStreamCaptureModeThreadLocal hipStreamCaptureModeThreadLocal
#define cudaStreamBeginCapture hipStreamBeginCapture
#define cudaStreamEndCapture hipStreamEndCapture
#define cudaGraphInstantiateWithFlags hipGraphInstantiateWithFlags
#define cudaGraphLaunch hipGraphLaunch
#define cudaGraphExecDestroy hipGraphExecDestroy
#define cudaGraphDestroy hipGraphDestroy
#define cudaGetLastError hipGetLastError
#define cudaGetErrorName hipGetErrorName
#define cudaGetErrorString hipGetErrorString

struct cudaLaunchConfig_t {
  dim3 gridDim;
  dim3 blockDim;
  std::size_t dynamicSmemBytes = 0;
  hipStream_t stream = nullptr;
  void* attrs = nullptr;
  unsigned numAttrs = 0;
};

template <typename... Params>
hipError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Params...),
                              Params... args) {
  void* places[] = {&args..., nullptr};
  return hipLaunchKernel(reinterpret_cast<const void*>(kernel), config->gridDim, config->blockDim,
                         places, config->dynamicSmemBytes, config->stream);
}

// Warps of 32 in wavefronts of 64. The masks are those of whole warps, as everywhere in the
// kernels.
template <typename T>
__device__ __forceinline__ T __shfl_xor_sync(unsigned, T value, int step) {
  return __shfl_xor(value, step, 32);
}
template <typename T>
__device__ __forceinline__ T __shfl_sync(unsigned, T value, int lane) {
  return __shfl(value, lane, 32);
}
__device__ __forceinline__ unsigned __ballot_sync(unsigned, bool vote) {
  const unsigned half = __lane_id() & 32U;
  return static_cast<unsigned>(__ballot(vote) >> half);
}
__device__ __forceinline__ void __syncwarp(unsigned = 0xFFFFFFFFU) {
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "wavefront");
  __builtin_amdgcn_wave_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "wavefront");
}
