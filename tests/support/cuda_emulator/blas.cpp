// The functions of include/cublasLt.h.
#include <algorithm>
#include <cmath>

#include "cublasLt.h"
#include "cuda_bf16.h"
#include "cuda_fp16.h"
#include "fibers.hpp"
#include "machine.hpp"

using cuda_emulator::BlasObject;
using cuda_emulator::Call;
using cuda_emulator::machine;

namespace cuda_emulator {

// Handle, description, layout and preference in one: what the wrong kind would set is not looked
// at.
struct BlasObject {
  cudaDataType_t type = CUDA_R_32F;
  std::int64_t rows = 0, columns = 0, leading = 0;
  bool transpose_a = false, transpose_b = false;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  bool tf32 = false;
  void* bias = nullptr;
  void* aux = nullptr;
  std::int64_t aux_leading = 0;
  std::size_t workspace_bytes = 0;
  std::uint32_t alignment[4] = {256, 256, 256, 256};
};

}  // namespace cuda_emulator

#define EMULATED_CALL()      \
  const Call call(__func__); \
  if (call.verdict() != cudaSuccess) return CUBLAS_STATUS_EXECUTION_FAILED

namespace {

// What the emulated algorithms ask for, and write to: scratch that is too small shows.
constexpr std::size_t workspace = 1024;

template <typename... Args>
cublasStatus_t make(BlasObject** object, Args... args) {
  *object = new BlasObject(args...);
  ++machine().blas_objects;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t unmake(BlasObject* object, const char* name) {
  const Call call(name);
  delete object;
  --machine().blas_objects;
  return call.verdict() == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

std::size_t size_of(cudaDataType_t type) { return type == CUDA_R_32F ? 4 : 2; }

float load(const BlasObject& m, const void* base, std::int64_t row, std::int64_t column) {
  const auto* at = static_cast<const std::byte*>(base) +
                   (row + column * m.leading) * static_cast<std::int64_t>(size_of(m.type));
  cuda_emulator::check_read(at, size_of(m.type));
  if (m.type == CUDA_R_16BF) return __bfloat162float(*reinterpret_cast<const __nv_bfloat16*>(at));
  if (m.type == CUDA_R_16F) return __half2float(*reinterpret_cast<const __half*>(at));
  return *reinterpret_cast<const float*>(at);
}

void store(const BlasObject& m, void* base, std::int64_t row, std::int64_t column, float value) {
  auto* at = static_cast<std::byte*>(base) +
             (row + column * m.leading) * static_cast<std::int64_t>(size_of(m.type));
  cuda_emulator::check_write(at, size_of(m.type));
  if (m.type == CUDA_R_16BF) {
    *reinterpret_cast<__nv_bfloat16*>(at) = __float2bfloat16_rn(value);
  } else if (m.type == CUDA_R_16F) {
    *reinterpret_cast<__half*>(at) = __float2half_rn(value);
  } else {
    *reinterpret_cast<float*>(at) = value;
  }
}

bool aligned(const void* pointer, std::uint32_t bytes) {
  return reinterpret_cast<std::uintptr_t>(pointer) % bytes == 0;
}

/// To nearest, 10 bits of mantissa left. @pre finite.
float rounded_to_tf32(float x) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  bits = (bits + 0x0FFFU + (bits >> 13U & 1U)) & 0xFFFFE000U;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

constexpr float gelu_slope = 0.7978845608F;  // the tanh form
float gelu(float x) {
  return 0.5F * x * (1.0F + std::tanh(gelu_slope * (x + 0.044715F * x * x * x)));
}
float gelu_gradient(float x) {
  const float t = std::tanh(gelu_slope * (x + 0.044715F * x * x * x));
  return 0.5F * (1.0F + t) +
         0.5F * x * (1.0F - t * t) * gelu_slope * (1.0F + 3.0F * 0.044715F * x * x);
}

bool uses_aux(cublasLtEpilogue_t epilogue) {
  return epilogue == CUBLASLT_EPILOGUE_GELU_AUX || epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS ||
         epilogue == CUBLASLT_EPILOGUE_DGELU;
}
bool uses_bias(cublasLtEpilogue_t epilogue) {
  return epilogue == CUBLASLT_EPILOGUE_BIAS || epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS ||
         epilogue == CUBLASLT_EPILOGUE_BGRADB;
}

/// What the documentation asks of an epilogue's pointers.
bool epilogue_fits(const BlasObject& desc, const BlasObject& d) {
  if (uses_bias(desc.epilogue) && (desc.bias == nullptr || !aligned(desc.bias, 16))) return false;
  if (!uses_aux(desc.epilogue)) return true;
  return desc.aux != nullptr && aligned(desc.aux, 16) && desc.aux_leading % 8 == 0 &&
         desc.aux_leading >= d.rows;
}

struct Product {
  BlasObject desc, a, b, c, d;
  float alpha, beta;
  const void *pa, *pb, *pc;
  void* pd;

  void run() const {
    const std::int64_t depth = desc.transpose_a ? a.rows : a.columns;
    const auto term = [&](float x) { return desc.tf32 ? rounded_to_tf32(x) : x; };
    // Bias and aux have the format of d.
    BlasObject aux = d;
    aux.leading = desc.aux_leading;
    for (std::int64_t j = 0; j < d.columns; ++j) {
      if (desc.epilogue == CUBLASLT_EPILOGUE_BGRADB) {
        float sum = 0.0F;
        for (std::int64_t k = 0; k < depth; ++k) {
          sum += desc.transpose_b ? load(b, pb, j, k) : load(b, pb, k, j);
        }
        store(d, desc.bias, j, 0, sum);
      }
      for (std::int64_t i = 0; i < d.rows; ++i) {
        float total = 0.0F;
        for (std::int64_t k = 0; k < depth; ++k) {
          const float x = desc.transpose_a ? load(a, pa, k, i) : load(a, pa, i, k);
          const float y = desc.transpose_b ? load(b, pb, j, k) : load(b, pb, k, j);
          total += term(x) * term(y);
        }
        total *= alpha;
        if (beta != 0.0F) total += beta * load(c, pc, i, j);
        if (desc.epilogue == CUBLASLT_EPILOGUE_DGELU) {
          total *= gelu_gradient(load(aux, desc.aux, i, j));
        } else if (uses_bias(desc.epilogue) && desc.epilogue != CUBLASLT_EPILOGUE_BGRADB) {
          total += load(d, desc.bias, i, 0);
        }
        if (desc.epilogue == CUBLASLT_EPILOGUE_GELU_AUX ||
            desc.epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS) {
          store(aux, desc.aux, i, j, total);
          total = gelu(total);
        }
        store(d, pd, i, j, total);
      }
    }
  }
};

}  // namespace

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  EMULATED_CALL();
  return make(handle);
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) { return unmake(handle, __func__); }
std::size_t cublasLtGetVersion() { return 130000; }

const char* cublasLtGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
  }
  return "a status that the emulation does not know";
}
const char* cublasLtGetStatusString(cublasStatus_t) { return "emulated"; }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc, cublasComputeType_t compute,
                                        cudaDataType_t) {
  EMULATED_CALL();
  make(desc);
  (*desc)->tf32 = compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
  return unmake(desc, __func__);
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t bytes) {
  EMULATED_CALL();
  const auto take = [&](auto& field) {
    if (bytes != sizeof field) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&field, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
  };
  cublasOperation_t operation = CUBLAS_OP_N;
  cublasStatus_t status = CUBLAS_STATUS_INVALID_VALUE;
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      status = take(operation);
      desc->transpose_a = operation == CUBLAS_OP_T;
      break;
    case CUBLASLT_MATMUL_DESC_TRANSB:
      status = take(operation);
      desc->transpose_b = operation == CUBLAS_OP_T;
      break;
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      status = take(desc->epilogue);
      break;
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      status = take(desc->bias);
      break;
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER:
      status = take(desc->aux);
      break;
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD:
      status = take(desc->aux_leading);
      break;
  }
  return status;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType_t type,
                                          std::uint64_t rows, std::uint64_t columns,
                                          std::int64_t leading) {
  EMULATED_CALL();
  if (rows == 0 || columns == 0 || leading < static_cast<std::int64_t>(rows)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  make(layout);
  (*layout)->type = type;
  (*layout)->rows = static_cast<std::int64_t>(rows);
  (*layout)->columns = static_cast<std::int64_t>(columns);
  (*layout)->leading = leading;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  return unmake(layout, __func__);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  EMULATED_CALL();
  return make(preference);
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  return unmake(preference, __func__);
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t bytes) {
  EMULATED_CALL();
  if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) {
    if (bytes != sizeof preference->workspace_bytes) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&preference->workspace_bytes, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
  }
  if (bytes != sizeof(std::uint32_t)) return CUBLAS_STATUS_INVALID_VALUE;
  const int which = attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES;
  if (which >= 0) std::memcpy(&preference->alignment[which], value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int* found) {
  EMULATED_CALL();
  *found = 0;
  const std::int64_t depth = desc->transpose_a ? a->rows : a->columns;
  const bool fits = depth == (desc->transpose_b ? b->columns : b->rows) &&
                    d->rows == (desc->transpose_a ? a->columns : a->rows) &&
                    d->columns == (desc->transpose_b ? b->rows : b->columns) &&
                    c->rows == d->rows && c->columns == d->columns && a->type == b->type &&
                    c->type == d->type;
  if (!fits || wanted < 1) return CUBLAS_STATUS_INVALID_VALUE;
  const bool plain =
      desc->epilogue == CUBLASLT_EPILOGUE_DEFAULT || desc->epilogue == CUBLASLT_EPILOGUE_BIAS;
  if (preference->workspace_bytes < workspace || !epilogue_fits(*desc, *d) ||
      (!plain && !machine().epilogues)) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  results[0] = {};
  for (int i = 0; i < 4; ++i) results[0].algo.data[i] = preference->alignment[i];
  results[0].workspaceSize = workspace;
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t desc, const void* alpha,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                              cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algo,
                              void* scratch, std::size_t scratch_bytes, cudaStream_t stream) {
  EMULATED_CALL();
  if (scratch_bytes < workspace || algo == nullptr || !epilogue_fits(*desc, *d_layout) ||
      !machine().streams.contains(stream)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const void* operands[] = {a, b, c, d};
  for (int i = 0; i < 4; ++i) {
    if (!aligned(operands[i], static_cast<std::uint32_t>(algo->data[i]))) {
      return CUBLAS_STATUS_INVALID_VALUE;
    }
  }
  const Product product{*desc,
                        *a_layout,
                        *b_layout,
                        *c_layout,
                        *d_layout,
                        *static_cast<const float*>(alpha),
                        *static_cast<const float*>(beta),
                        a,
                        b,
                        c,
                        d};
  const cudaError_t put = machine().enqueue(*stream, [product, scratch] {
    if (!machine().fault.empty()) return;
    cuda_emulator::check_write(scratch, workspace);
    std::memset(scratch, 0xFF, workspace);
    try {
      product.run();
    } catch (const cuda_emulator::KernelFault& error) {
      throw cuda_emulator::KernelFault(std::string(error.what()) + " (in a matrix product)");
    }
  });
  return put == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
