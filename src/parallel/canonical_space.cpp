#include "concordat/parallel/canonical_space.hpp"

#include <algorithm>
#include <set>

namespace concordat::parallel {

CanonicalSpace::CanonicalSpace(std::span<const ParameterSpec> specs) {
  std::set<std::string> names;
  for (const auto& spec : specs) {
    const std::int64_t count = concordat::num_elements(spec.shape);
    if (count < 1 || spec.name.empty() || !names.insert(spec.name).second) {
      throw Error(errors::bad_layout, {.what = "a parameter is empty, nameless or declared twice",
                                       .where = spec.name,
                                       .found = "shape " + to_string(spec.shape),
                                       .remedy = "correct the model's declaration"});
    }
    tensors_.push_back({spec.name, spec.shape, num_elements_, count});
    num_elements_ += count;
  }
}

const CanonicalSpace::Entry& CanonicalSpace::tensor_at(std::int64_t index) const {
  CONCORDAT_REQUIRE(index >= 0 && index < num_elements_, std::to_string(index));
  auto next = std::upper_bound(tensors_.begin(), tensors_.end(), index,
                               [](std::int64_t i, const Entry& entry) { return i < entry.begin; });
  return *std::prev(next);
}

std::int64_t CanonicalSpace::num_blocks(int block_log2) const {
  const std::int64_t block = std::int64_t{1} << block_log2;
  return (num_elements_ + block - 1) / block;
}

std::vector<Segment> segments(const ParameterSpec& spec, const CanonicalSpace::Entry& tensor,
                              const MeshShape& mesh, const MeshCoords& coords) {
  if (!holds(spec, coords)) return {};
  if (!spec.shard_axis) return {{tensor.begin, tensor.count, 1, 0, 0, 0}};
  const auto range = shard_range(spec, mesh.tp, coords.tp);
  if (range.count == 0) return {};
  // Row-major: `outer` repetitions of the axis, each of its rows `inner` elements long.
  const auto axis = static_cast<std::size_t>(*spec.shard_axis);
  std::int64_t outer = 1;
  std::int64_t inner = 1;
  for (std::size_t i = 0; i < axis; ++i) outer *= spec.shape[i];
  for (std::size_t i = axis + 1; i < spec.shape.size(); ++i) inner *= spec.shape[i];
  Segment segment;
  segment.begin = tensor.begin + range.begin * inner;
  segment.run = range.count * inner;
  segment.count = outer;
  segment.stride = outer > 1 ? spec.shape[axis] * inner : 0;
  segment.local_stride = outer > 1 ? range.padded * inner : 0;
  return {segment};
}

LocalLayout layout_of(std::span<const ParameterSpec> specs, const CanonicalSpace& space,
                      const MeshShape& mesh, const MeshCoords& coords) {
  CONCORDAT_REQUIRE(specs.size() == space.tensors().size(), std::to_string(specs.size()));
  LocalLayout layout;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    if (!holds(specs[i], coords)) continue;
    const bool owner = owns(specs[i], mesh, coords);
    for (Segment segment : segments(specs[i], space.tensors()[i], mesh, coords)) {
      segment.local_begin += layout.num_local;
      layout.held.push_back(segment);
      if (owner) layout.owned.push_back(segment);
    }
    layout.num_local += num_elements(local_shape(specs[i], mesh, coords));
  }
  return layout;
}

BlockRange slice_of(int rank, int num_ranks, std::int64_t num_blocks) {
  CONCORDAT_REQUIRE(rank >= 0 && rank < num_ranks && num_blocks >= 0, std::to_string(rank));
  const std::int64_t base = num_blocks / num_ranks;
  const std::int64_t rest = num_blocks % num_ranks;
  const std::int64_t begin = base * rank + std::min<std::int64_t>(rank, rest);
  return {begin, begin + base + (rank < rest ? 1 : 0)};
}

Slice slice_of(int rank, int num_ranks, std::int64_t num_elements, int block_log2) {
  const std::int64_t block = std::int64_t{1} << block_log2;
  const auto blocks = slice_of(rank, num_ranks, (num_elements + block - 1) / block);
  return {blocks.begin, blocks.end, std::min(num_elements, blocks.begin * block),
          std::min(num_elements, blocks.end * block)};
}

LocalLayout layout_of(const Slice& slice) {
  LocalLayout layout;
  layout.num_local = slice.count();
  if (slice.count() > 0) layout.held = {{slice.begin, slice.count(), 1, 0, 0, 0}};
  layout.owned = layout.held;
  return layout;
}

std::vector<Span> spans_of_block(const CanonicalSpace& space, int block_log2, std::int64_t block) {
  CONCORDAT_REQUIRE(block >= 0 && block < space.num_blocks(block_log2), std::to_string(block));
  const std::int64_t begin = block << block_log2;
  const std::int64_t end = std::min(space.num_elements(), begin + (std::int64_t{1} << block_log2));
  std::vector<Span> spans;
  Span open{begin, 0};  // grows tensor by tensor until it is long enough
  for (std::int64_t at = begin; at < end;) {
    const auto& tensor = space.tensor_at(at);
    const std::int64_t next = std::min(end, tensor.begin + tensor.count);
    open.count += next - at;
    at = next;
    if (open.count >= min_span_elements) {
      spans.push_back(open);
      open = {at, 0};
    }
  }
  if (open.count > 0) {
    if (spans.empty()) {
      spans.push_back(open);
    } else {
      spans.back().count += open.count;
    }
  }
  return spans;
}

}  // namespace concordat::parallel
