// Host values to the device and back, through pinned memory, in stream order.
#include <cstring>

#include "device/cuda/cuda_stream.hpp"
#include "device/views.hpp"

namespace concordat::device::cuda {
namespace {

/// Pinned memory for one transfer. The pool hands it out again behind what the streams hold when
/// this goes.
class Staging {
 public:
  Staging(Device& device, std::size_t bytes) : pool_(device.pinned) {
    device.require_no_capture("a transfer between host and device");
    block_ = pool_.take(bytes);
  }
  ~Staging() { pool_.give_back(block_); }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  std::byte* data() const { return block_.data; }

 private:
  MemoryPool& pool_;
  MemoryPool::Block block_;
};

/// Row-major bytes of a tensor of these strides, of which `first` holds element 0.
void gather(const Shape& shape, const Shape& strides, std::size_t size, const std::byte* first,
            std::byte* to) {
  std::vector<std::int64_t> index(shape.size(), 0);
  const std::int64_t count = num_elements(shape);
  std::int64_t at = 0;
  for (std::int64_t i = 0; i < count; ++i, to += size) {
    std::memcpy(to, first + at * static_cast<std::int64_t>(size), size);
    for (std::size_t axis = index.size(); axis-- > 0;) {
      at += strides[axis];
      if (++index[axis] < shape[axis]) break;
      at -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

/// Bytes from element 0 to the end of the last one. Strides are not negative.
std::size_t extent_bytes(const Tensor& t) {
  std::int64_t last = 0;
  for (std::size_t axis = 0; axis < t.shape().size(); ++axis) {
    last += (t.shape()[axis] - 1) * t.strides()[axis];
  }
  return static_cast<std::size_t>(last + 1) * size_of(t.dtype());
}

}  // namespace

cudaStream_t CudaKernels::stream() const { return owner_.handle(); }

void CudaKernels::upload(const Tensor& out, std::span<const std::byte> values) {
  if (values.empty()) return;
  const Staging staging(device_, values.size());
  std::memcpy(staging.data(), values.data(), values.size());
  check(cudaMemcpyAsync(out.raw_bytes(), staging.data(), values.size(), cudaMemcpyHostToDevice,
                        stream()),
        "cudaMemcpyAsync");
}

void CudaKernels::download(const Tensor& in, std::byte* to,
                           const std::shared_ptr<const void>& keep) {
  if (in.size() == 0) return;
  const bool matrix = is_rows(in) && in.dim(1) > 0;
  const bool packed = in.contiguous() || matrix;
  const std::size_t bytes = packed ? in.size_bytes() : extent_bytes(in);
  const Staging staging(device_, bytes);
  if (in.contiguous() || !matrix) {
    check(cudaMemcpyAsync(staging.data(), in.raw_bytes(), bytes, cudaMemcpyDeviceToHost, stream()),
          "cudaMemcpyAsync");
  } else {
    const std::size_t width = static_cast<std::size_t>(in.dim(1)) * size_of(in.dtype());
    const std::size_t pitch = static_cast<std::size_t>(in.strides()[0]) * size_of(in.dtype());
    check(cudaMemcpy2DAsync(staging.data(), width, in.raw_bytes(), std::max(pitch, width), width,
                            static_cast<std::size_t>(in.dim(0)), cudaMemcpyDeviceToHost, stream()),
          "cudaMemcpy2DAsync");
  }
  if (packed) {
    owner_.enqueue([data = staging.data(), bytes, to, keep] { std::memcpy(to, data, bytes); });
  } else {
    owner_.enqueue([data = staging.data(), shape = in.shape(), strides = in.strides(),
                    size = size_of(in.dtype()), to,
                    keep] { gather(shape, strides, size, data, to); });
  }
}

}  // namespace concordat::device::cuda
