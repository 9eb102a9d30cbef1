#include "device/strict/strict_backend.hpp"

#include <cstring>
#include <map>

#include "concordat/core/worker_stream.hpp"
#include "device/reference/reference_kernels.hpp"
#include "device/strict/guarded_memory.hpp"
#include "device/views.hpp"

namespace concordat::device {
namespace {

// FNV-1a over the bits of a matrix: enough to notice a change.
std::uint64_t fingerprint(const Tensor& t) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  std::size_t row_bytes = static_cast<std::size_t>(t.dim(1)) * size_of(t.dtype());
  for (std::int64_t i = 0; i < t.dim(0); ++i) {
    const std::byte* row =
        t.raw_bytes() + i * t.strides()[0] * static_cast<std::int64_t>(size_of(t.dtype()));
    for (std::size_t at = 0; at < row_bytes; ++at) {
      hash = (hash ^ static_cast<std::uint64_t>(row[at])) * 0x100000001b3U;
    }
  }
  return hash;
}

class StrictKernels final : public ReferenceKernels {
 public:
  Place place() const override { return Place::device; }

  void matmul(const Tensor& c, const Tensor& a, const Tensor& b, const MatmulOptions& options,
              const std::uint64_t& weight_version, const Tensor& scratch) override {
    if (weight_version != 0) check_weight(b, weight_version);
    ReferenceKernels::matmul(c, a, b, options, weight_version, scratch);
  }

 private:
  struct Seen {
    std::weak_ptr<Storage> storage;
    std::uint64_t version;
    std::uint64_t bits;
  };

  void check_weight(const Tensor& weight, std::uint64_t version) {
    std::uint64_t bits = fingerprint(weight);
    std::lock_guard lock(mutex_);
    Seen& seen = seen_[weight.raw_bytes()];
    bool same = seen.storage.lock() == weight.storage() && seen.version == version;
    CONCORDAT_REQUIRE(!same || seen.bits == bits,
                      "weight " + to_string(weight.shape()) + " changed at version " +
                          std::to_string(version) + " without Parameter::bump()");
    seen = {weight.storage(), version, bits};
  }

  std::mutex mutex_;
  std::map<const std::byte*, Seen> seen_;
};

class StrictBackend final : public Backend {
 public:
  std::string_view name() const override { return "strict"; }
  Tensor allocate(Dtype dtype, Shape shape) override {
    auto bytes = static_cast<std::size_t>(num_elements(shape)) * size_of(dtype);
    return {GuardedMemory::allocate(memory_, bytes), 0, dtype, std::move(shape)};
  }
  std::unique_ptr<Stream> make_stream() override {
    return std::make_unique<WorkerStream>([memory = memory_](const WorkerStream::Work& work) {
      GuardedMemory::Gate gate(*memory);
      work();
    });
  }
  std::unique_ptr<Stream> make_message_stream() override { return make_stream(); }
  std::string instructions_in_use() const override { return "strict: plain loops, 1 thread"; }
  bool multiplies(Dtype dtype) const override { return is_floating(dtype); }
  bool immediate() const override { return false; }
  Kernels& kernels(Stream&) override { return kernels_; }
  void poison(Stream& stream, const Tensor& tensor) override {
    stream.enqueue([tensor] { std::memset(tensor.raw_bytes(), 0xFF, tensor.size_bytes()); });
  }

 private:
  std::shared_ptr<GuardedMemory> memory_ = std::make_shared<GuardedMemory>();
  StrictKernels kernels_;
};

}  // namespace

std::unique_ptr<Backend> make_strict_backend() { return std::make_unique<StrictBackend>(); }

}  // namespace concordat::device
