#include "device/cuda/blas.hpp"

#include <cstdint>
#include <string>

#include "concordat/device/errors.hpp"
#include "device/views.hpp"

namespace concordat::device::cuda {
namespace {

cudaDataType_t type_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::bf16:
      return CUDA_R_16BF;
    case Dtype::f16:
      return CUDA_R_16F;
    default:
      return CUDA_R_32F;
  }
}

// A row-major matrix is the transpose of the column-major one with the same bytes.
LayoutHandle layout_of(const Blas::Matrix& m) {
  cublasLtMatrixLayout_t layout = nullptr;
  check(cublasLtMatrixLayoutCreate(&layout, type_of(m.dtype), static_cast<std::uint64_t>(m.cols),
                                   static_cast<std::uint64_t>(m.rows), m.stride),
        "cublasLtMatrixLayoutCreate");
  return LayoutHandle(layout);
}

std::string describe(const char* name, const Blas::Matrix& m) {
  return std::string(name) + ": " + std::string(name_of(m.dtype)) + " [" + std::to_string(m.rows) +
         "," + std::to_string(m.cols) + "] stride " + std::to_string(m.stride);
}

template <typename T>
void set(const ProductHandle& product, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  check(cublasLtMatmulDescSetAttribute(product.get(), attribute, &value, sizeof value),
        "cublasLtMatmulDescSetAttribute");
}

template <typename T>
void set(const PreferenceHandle& preference, cublasLtMatmulPreferenceAttributes_t attribute,
         const T& value) {
  check(cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof value),
        "cublasLtMatmulPreferenceSetAttribute");
}

cublasLtEpilogue_t epilogue_of(const Blas::Product& p) {
  switch (p.epilogue) {
    case Blas::Epilogue::gelu:
      return p.bias == nullptr ? CUBLASLT_EPILOGUE_GELU_AUX : CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
    case Blas::Epilogue::gelu_gradient:
      return CUBLASLT_EPILOGUE_DGELU;
    case Blas::Epilogue::row_sums:
      return CUBLASLT_EPILOGUE_BGRADB;  // the operands have changed places
    case Blas::Epilogue::none:
      break;
  }
  return p.bias == nullptr ? CUBLASLT_EPILOGUE_DEFAULT : CUBLASLT_EPILOGUE_BIAS;
}

void set_pointers(const ProductHandle& product, const Blas::Product& p) {
  if (p.bias != nullptr) {
    const void* bias = p.bias;
    set(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  }
  if (p.aux.data != nullptr) {
    void* aux = p.aux.data;
    set(product, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, aux);
  }
}

}  // namespace

Blas::Blas(bool tf32) : tf32_(tf32) {
  cublasLtHandle_t handle = nullptr;
  check(cublasLtCreate(&handle), "cublasLtCreate");
  handle_.reset(handle);
}

Blas::Matrix Blas::matrix(const Tensor& t) {
  const auto at = reinterpret_cast<std::uintptr_t>(t.raw_bytes());
  return {.data = t.raw_bytes(),
          .dtype = t.dtype(),
          .rows = t.dim(0),
          .cols = t.dim(1),
          .stride = std::max(t.strides()[0], t.dim(1)),  // a matrix of one row may have any
          .alignment = static_cast<std::uint32_t>(std::min<std::uintptr_t>(64, at & (~at + 1)))};
}

bool Blas::has(const Product& product) {
  std::lock_guard lock(mutex_);
  return plan_for(product).found;
}

std::size_t Blas::scratch_bytes(const Product& product) {
  std::lock_guard lock(mutex_);
  return sure_plan_for(product).scratch_bytes;
}

void Blas::run(const Product& p, const Tensor& scratch, cudaStream_t stream) {
  std::lock_guard lock(mutex_);
  Plan& plan = sure_plan_for(p);
  CONCORDAT_REQUIRE(
      plan.scratch_bytes == 0 || (!scratch.empty() && scratch.size_bytes() >= plan.scratch_bytes),
      std::to_string(plan.scratch_bytes));
  set_pointers(plan.product, p);
  // Transposed: D^T = op(b)^T op(a)^T, so the operands change places.
  check(cublasLtMatmul(handle_.get(), plan.product.get(), &p.alpha, p.b.data, plan.a.get(),
                       p.a.data, plan.b.get(), &p.beta, p.c.data, plan.c.get(), p.d.data,
                       plan.d.get(), &plan.algorithm,
                       scratch.empty() ? nullptr : scratch.raw_bytes(), plan.scratch_bytes, stream),
        "cublasLtMatmul");
}

Blas::Plan& Blas::plan_for(const Product& p) {
  const Key key{p.d.rows,
                p.d.cols,
                p.transpose_a ? p.a.rows : p.a.cols,
                p.d.stride,
                p.c.stride,
                p.a.stride,
                p.b.stride,
                p.d.alignment,
                p.c.alignment,
                p.a.alignment,
                p.b.alignment,
                static_cast<std::int64_t>(p.d.dtype),
                static_cast<std::int64_t>(p.c.dtype),
                static_cast<std::int64_t>(p.a.dtype),
                p.transpose_a ? 1 : 0,
                p.transpose_b ? 1 : 0,
                p.bias != nullptr ? 1 : 0,
                static_cast<std::int64_t>(p.epilogue),
                p.aux.stride,
                p.aux.alignment};
  std::unique_ptr<Plan>& plan = plans_[key];
  if (!plan) plan = make_plan(p);
  return *plan;
}

Blas::Plan& Blas::sure_plan_for(const Product& p) {
  Plan& plan = plan_for(p);
  if (plan.found) return plan;
  throw Error(errors::not_on_this_device,
              {.what = "cuBLASLt has no algorithm for a product",
               .where = describe("c", p.d) + ", " + describe("a", p.a) + ", " + describe("b", p.b),
               .found = std::string(p.transpose_a ? "a" : "no a") + " transposed, " +
                        (p.transpose_b ? "b" : "no b") + " transposed",
               .expected = "an algorithm without split sums",
               .remedy = "set train.device=cpu, and report the shapes"});
}

std::unique_ptr<Blas::Plan> Blas::make_plan(const Product& p) {
  auto plan = std::make_unique<Plan>();
  const bool rounds = tf32_ && p.a.dtype == Dtype::f32;
  cublasLtMatmulDesc_t product = nullptr;
  check(cublasLtMatmulDescCreate(
            &product, rounds ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
        "cublasLtMatmulDescCreate");
  plan->product.reset(product);
  set(plan->product, CUBLASLT_MATMUL_DESC_TRANSA, p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(plan->product, CUBLASLT_MATMUL_DESC_TRANSB, p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(plan->product, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(p));
  if (p.aux.data != nullptr) {
    set(plan->product, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, p.aux.stride);
  }
  set_pointers(plan->product, p);
  plan->a = layout_of(p.b);
  plan->b = layout_of(p.a);
  plan->c = layout_of(p.c);
  plan->d = layout_of(p.d);
  choose_algorithm(*plan, p);
  return plan;
}

void Blas::choose_algorithm(Plan& plan, const Product& p) {
  cublasLtMatmulPreference_t made = nullptr;
  check(cublasLtMatmulPreferenceCreate(&made), "cublasLtMatmulPreferenceCreate");
  const PreferenceHandle preference(made);
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, most_scratch_bytes);
  const auto schemes = static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_NONE);
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, schemes);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, p.b.alignment);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, p.a.alignment);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, p.c.alignment);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, p.d.alignment);
  cublasLtMatmulHeuristicResult_t result{};
  int found = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      handle_.get(), plan.product.get(), plan.a.get(), plan.b.get(), plan.c.get(), plan.d.get(),
      preference.get(), 1, &result, &found);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED) return;  // how it says that there is none
  check(status, "cublasLtMatmulAlgoGetHeuristic");
  if (found == 0) return;
  plan.algorithm = result.algo;
  plan.scratch_bytes = result.workspaceSize;
  plan.found = true;
}

}  // namespace concordat::device::cuda
