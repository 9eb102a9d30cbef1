#include "device/cpu/cpu_backend.hpp"

#include <omp.h>

#include "concordat/device/errors.hpp"
#include "device/cpu/cpu_kernels.hpp"
#include "device/cpu/vector_kernels.hpp"

namespace concordat::device {
namespace {

class CpuBackend final : public Backend {
 public:
  std::string_view name() const override { return "cpu"; }
  Tensor allocate(Dtype dtype, Shape shape) override {
    return host_tensor(dtype, std::move(shape));
  }
  std::unique_ptr<Stream> make_stream() override { return std::make_unique<InlineStream>(); }
  std::string instructions_in_use() const override { return cpu_instructions(); }
  bool multiplies(Dtype dtype) const override {
    return dtype == Dtype::f32 || kernels_.takes_operands(dtype);
  }
  int weight_copies(Dtype dtype) const override { return kernels_.products().weight_copies(dtype); }
  std::size_t weight_copy_bytes() const override { return kernels_.products().weight_copy_bytes(); }
  bool immediate() const override { return true; }
  Kernels& kernels(Stream&) override { return kernels_; }

 private:
  CpuKernels kernels_;
};

}  // namespace

bool cpu_backend_usable() { return avx2_usable(); }

std::string cpu_instructions() {
  return std::string("cpu: ") + vector_kernels().name +
         (Products::uses_tiles() ? " with amx tiles, " : ", ") +
         std::to_string(omp_get_max_threads()) + " threads, " + product_library();
}

std::unique_ptr<Backend> make_cpu_backend() {
  if (!cpu_backend_usable()) {
    throw Error(errors::no_avx2, {.what = "the cpu back end needs AVX2 and FMA",
                                  .where = "train.device",
                                  .found = "a processor without them",
                                  .expected = "x86-64 from AVX2 upward",
                                  .remedy = "use --train.device=reference (very slow)"});
  }
  return std::make_unique<CpuBackend>();
}

}  // namespace concordat::device
