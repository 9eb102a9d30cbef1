#include "device/cuda/device.hpp"

#include "concordat/device/errors.hpp"

namespace concordat::device::cuda {
namespace {

class DeviceStorage final : public Storage {
 public:
  DeviceStorage(std::shared_ptr<Device> device, MemoryPool::Block block, std::size_t bytes)
      : Storage(Place::device, block.data, bytes), device_(std::move(device)), block_(block) {}
  ~DeviceStorage() override { device_->memory.give_back(block_); }

 private:
  std::shared_ptr<Device> device_;
  MemoryPool::Block block_;
};

std::string version(int number) {  // 13020 is 13.2
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

[[noreturn]] void no_gpu(std::string found, std::string expected, std::string remedy) {
  throw Error(errors::no_gpu, {.what = "no GPU can be used",
                               .where = "train.device",
                               .found = std::move(found),
                               .expected = std::move(expected),
                               .remedy = std::move(remedy)});
}

std::string described() {
  int driver = 0;
  int runtime = 0;
  check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  const std::string needed = "CUDA " + version(runtime) + ", as this plug-in was built with";
  if (driver == 0) {
    no_gpu("no NVIDIA driver", "a driver for " + needed,
           "run on a node with GPUs, or set train.device=cpu");
  }
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status == cudaErrorInsufficientDriver) {
    no_gpu("a driver for CUDA " + version(driver), "a driver for " + needed,
           "update the driver, build with an older toolkit, or set train.device=cpu");
  }
  if (status != cudaErrorNoDevice) check(status, "cudaGetDeviceCount");
  if (devices == 0) {
    no_gpu(
        "a driver, but no visible GPU", "at least one",
        "ask the batch system for GPUs (--gpus-per-task=1), look at CUDA_VISIBLE_DEVICES, or set "
        "train.device=cpu");
  }
  check(cudaSetDevice(0), "cudaSetDevice");
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  const std::string name = std::string(properties.name) + " (sm_" +
                           std::to_string(properties.major) + std::to_string(properties.minor) +
                           ")";
  if (properties.major < 8) no_gpu(name, "sm_80 or newer", "use a newer GPU, or train.device=cpu");
  return "cuda: " + name + ", CUDA " + version(runtime) + ", driver " + version(driver) +
         ", cuBLASLt " + std::to_string(cublasLtGetVersion());
}

}  // namespace

Device::Device(const CudaOptions& options, std::string description)
    : memory(MemoryPool::Kind::device, streams, !options.checking),
      pinned(MemoryPool::Kind::pinned, streams, true),
      blas(options.tf32),
      options_(options),
      description_(std::move(description)) {}

std::shared_ptr<Device> Device::open(const CudaOptions& options) {
  std::string description = described() + (options.tf32 ? ", TF32 products" : "");
  return std::shared_ptr<Device>(new Device(options, std::move(description)));
}

Tensor Device::allocate(Dtype dtype, Shape shape) {
  const std::size_t bytes = static_cast<std::size_t>(num_elements(shape)) * size_of(dtype);
  const MemoryPool::Block block = memory.take(bytes);
  return {std::make_shared<DeviceStorage>(shared_from_this(), block, bytes), 0, dtype,
          std::move(shape)};
}

}  // namespace concordat::device::cuda
