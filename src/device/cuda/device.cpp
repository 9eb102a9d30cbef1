#include "device/cuda/device.hpp"

#include "concordat/device/errors.hpp"

namespace concordat::device::cuda {
namespace {

class DeviceStorage final : public Storage {
 public:
  DeviceStorage(std::shared_ptr<Device> device, MemoryPool::Block block, std::size_t bytes)
      : Storage(Place::device, block.data, bytes), device_(std::move(device)), block_(block) {}
  ~DeviceStorage() override { device_->give_back(block_); }

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

struct Versions {
  int driver = 0;
  int runtime = 0;
};

Versions versions() {
  Versions found;
  check(cudaDriverGetVersion(&found.driver), "cudaDriverGetVersion");
  check(cudaRuntimeGetVersion(&found.runtime), "cudaRuntimeGetVersion");
  return found;
}

int count_devices() {
  const auto [driver, runtime] = versions();
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
  return devices;
}

std::string described(const cudaDeviceProp& properties) {
  const auto [driver, runtime] = versions();
  const std::string name = std::string(properties.name) + " (sm_" +
                           std::to_string(properties.major) + std::to_string(properties.minor) +
                           ")";
  if (properties.major < 8) no_gpu(name, "sm_80 or newer", "use a newer GPU, or train.device=cpu");
  return "cuda: " + name + ", CUDA " + version(runtime) + ", driver " + version(driver) +
         ", cuBLASLt " + std::to_string(cublasLtGetVersion());
}

}  // namespace

Device::Device(const CudaOptions& options, int ordinal)
    : memory(MemoryPool::Kind::device, streams, !options.checking,
             [this](cudaEvent_t event) { await(event); }),
      pinned(MemoryPool::Kind::pinned, streams, true, [this](cudaEvent_t event) { await(event); }),
      blas(options.tf32),
      options_(options) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, ordinal), "cudaGetDeviceProperties");
  description_ = described(properties) + (options.tf32 ? ", TF32 products" : "");
  identity_.assign(std::begin(properties.uuid.bytes), std::end(properties.uuid.bytes));
}

std::shared_ptr<Device> Device::open(const CudaOptions& options) {
  const int ordinal = options.local_rank % count_devices();
  check(cudaSetDevice(ordinal), "cudaSetDevice");  // before anything is made on it
  return std::shared_ptr<Device>(new Device(options, ordinal));
}

void Device::await(cudaEvent_t event) const {
  const auto watch = watch_.lock();
  if (!watch) return check(cudaEventSynchronize(event), "cudaEventSynchronize");
  watch->wait_until(
      [&] {
        const cudaError_t status = cudaEventQuery(event);
        if (status != cudaErrorNotReady) check(status, "cudaEventQuery");
        return status == cudaSuccess;
      },
      "this rank's GPU");
}

void Device::await(cudaStream_t stream) const {
  const auto watch = watch_.lock();
  if (!watch) return check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  watch->wait_until(
      [&] {
        const cudaError_t status = cudaStreamQuery(stream);
        if (status != cudaErrorNotReady) check(status, "cudaStreamQuery");
        return status == cudaSuccess;
      },
      "this rank's GPU");
}

void Device::set_watch(const std::shared_ptr<Watch>& watch) {
  CONCORDAT_REQUIRE(watch_.expired(), "a GPU that has a communicator already");
  watch_ = watch;
}

void Device::give_back(MemoryPool::Block block) noexcept {
  // Events of now would be part of what is captured.
  if (capturing_ == std::this_thread::get_id()) {
    given_back_in_capture_.push_back(block);
  } else {
    memory.give_back(block);
  }
}

void Device::begin_capture() {
  std::thread::id none;
  CONCORDAT_REQUIRE(capturing_.compare_exchange_strong(none, std::this_thread::get_id()),
                    "two captures on one device");
}

bool Device::end_capture() noexcept {
  capturing_ = std::thread::id();
  const bool none = given_back_in_capture_.empty();
  for (const MemoryPool::Block& block : given_back_in_capture_) memory.give_back(block);
  given_back_in_capture_.clear();
  return none;
}

void Device::require_no_capture(const char* what) const {
  CONCORDAT_REQUIRE(capturing_ != std::this_thread::get_id(),
                    std::string(what) + " in the middle of a capture");
}

Tensor Device::allocate(Dtype dtype, Shape shape) {
  require_no_capture("new memory");
  const std::size_t bytes = static_cast<std::size_t>(num_elements(shape)) * size_of(dtype);
  const MemoryPool::Block block = memory.take(bytes);
  return {std::make_shared<DeviceStorage>(shared_from_this(), block, bytes), 0, dtype,
          std::move(shape)};
}

}  // namespace concordat::device::cuda
