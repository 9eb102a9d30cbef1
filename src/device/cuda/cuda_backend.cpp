// The back end, and the functions by which a program that loaded the plug-in makes one.
#include "device/cuda/cuda_backend.hpp"

#include "device/cuda/cuda_graph.hpp"
#include "device/cuda/cuda_stream.hpp"
#include "device/cuda/nccl.hpp"
#include "device/cuda/plugin_contract.hpp"
#include "device/views.hpp"

namespace concordat::device::cuda {
namespace {

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(const CudaOptions& options) : device_(Device::open(options)) {}
  std::string_view name() const override { return "cuda"; }
  Tensor allocate(Dtype dtype, Shape shape) override {
    return device_->allocate(dtype, std::move(shape));
  }
  std::unique_ptr<Stream> make_stream() override { return std::make_unique<CudaStream>(device_); }
  std::string instructions_in_use() const override { return device_->description(); }
  bool multiplies(Dtype dtype) const override {
    return dtype == Dtype::f32 || dtype == Dtype::bf16 || dtype == Dtype::f16;
  }
  std::unique_ptr<Stream> make_message_stream() override {
    return std::make_unique<CudaStream>(device_, CudaStream::Use::messages);
  }
  std::unique_ptr<comm::Communicator> communicator(comm::Communicator& host) override {
    return make_communicator(device_, host);
  }
  bool reached_by(const comm::Communicator& ranks) const override { return reaches_gpus(ranks); }
  bool sums_in_fixed_order() const override { return false; }
  bool captures() const override { return true; }
  std::unique_ptr<Graph> capture(Stream& stream, const std::function<void()>& work) override {
    return cuda::capture(device_, of_ops(stream), work);
  }
  bool immediate() const override { return true; }
  Kernels& kernels(Stream& stream) override { return of_ops(stream).kernels(); }
  void poison(Stream& stream, const Tensor& tensor) override {
    if (!device_->options().checking || tensor.size() == 0) return;
    check(cudaMemsetAsync(tensor.raw_bytes(), 0xFF, tensor.size_bytes(),
                          dynamic_cast<CudaStream&>(stream).handle()),
          "cudaMemsetAsync");
  }

 private:
  static CudaStream& of_ops(Stream& stream) {
    auto* ours = dynamic_cast<CudaStream*>(&stream);
    CONCORDAT_REQUIRE(ours != nullptr && ours->use() == CudaStream::Use::ops,
                      "an op on a stream that is not one of ops");
    return *ours;
  }
  std::shared_ptr<Device> device_;
};

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(const CudaOptions& options) {
  return std::make_unique<CudaBackend>(options);
}

}  // namespace concordat::device::cuda

extern "C" __attribute__((visibility("default"))) const char* concordat_cuda_contract() {
  return concordat::device::cuda::contract;
}

extern "C" __attribute__((visibility("default"))) concordat::device::Backend*
concordat_cuda_make_backend(const concordat::device::BackendOptions& options) {
  return concordat::device::cuda::make_cuda_backend(
             {.local_rank = options.local_rank, .tf32 = options.tf32})
      .release();
}
