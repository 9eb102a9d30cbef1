#include "device/reference/reference_backend.hpp"

#include "device/reference/reference_kernels.hpp"
#include "device/views.hpp"

namespace concordat::device {
namespace {

class ReferenceBackend final : public Backend {
 public:
  std::string_view name() const override { return "reference"; }
  Tensor allocate(Dtype dtype, Shape shape) override {
    return host_tensor(dtype, std::move(shape));
  }
  std::unique_ptr<Stream> make_stream() override { return std::make_unique<InlineStream>(); }
  std::string instructions_in_use() const override { return "reference: plain loops, 1 thread"; }
  // Operands of 16 bits widen without loss and the sum is in f64: the oracle of such products.
  bool multiplies(Dtype dtype) const override { return is_floating(dtype); }
  bool immediate() const override { return true; }
  Kernels& kernels(Stream&) override { return kernels_; }

 private:
  ReferenceKernels kernels_;
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend() { return std::make_unique<ReferenceBackend>(); }

}  // namespace concordat::device
