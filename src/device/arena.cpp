#include "concordat/device/arena.hpp"

#include <algorithm>

#include "concordat/device/backend.hpp"

namespace concordat::device {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::size_t smallest_chunk = std::size_t{1} << 20U;

}  // namespace

Arena::Arena(Backend& backend, Stream& stream, std::size_t initial_bytes)
    : backend_(backend), stream_(stream) {
  if (initial_bytes > 0) {
    chunks_.push_back(backend_.allocate(Dtype::u8, {static_cast<std::int64_t>(initial_bytes)}));
  }
}

Tensor Arena::take(Dtype dtype, Shape shape) {
  std::size_t bytes = static_cast<std::size_t>(num_elements(shape)) * size_of(dtype);
  bytes = std::max(alignment, (bytes + alignment - 1) / alignment * alignment);
  while (mark_.chunk < chunks_.size() &&
         mark_.used_bytes + bytes > chunks_[mark_.chunk].size_bytes()) {
    ++mark_.chunk;
    mark_.used_bytes = 0;
  }
  if (mark_.chunk == chunks_.size()) {
    CONCORDAT_REQUIRE(!frozen_, "arena of " + std::to_string(capacity_bytes()) +
                                    " bytes is frozen and too small for " + std::to_string(bytes));
    // Doubling keeps the number of chunks, and so the bytes left unused at their ends, small.
    std::size_t chunk = std::max({bytes, smallest_chunk, capacity_bytes()});
    chunks_.push_back(backend_.allocate(Dtype::u8, {static_cast<std::int64_t>(chunk)}));
  }
  const Tensor& chunk = chunks_[mark_.chunk];
  Tensor taken(chunk.storage(), chunk.offset_bytes() + mark_.used_bytes, dtype, std::move(shape));
  backend_.poison(stream_, taken);
  mark_.used_bytes += bytes;
  std::size_t in_use = mark_.used_bytes;
  for (std::size_t i = 0; i < mark_.chunk; ++i) in_use += chunks_[i].size_bytes();
  peak_bytes_ = std::max(peak_bytes_, in_use);
  return taken;
}

std::size_t Arena::capacity_bytes() const {
  std::size_t bytes = 0;
  for (const Tensor& chunk : chunks_) bytes += chunk.size_bytes();
  return bytes;
}

}  // namespace concordat::device
