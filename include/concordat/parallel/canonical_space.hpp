// CanonicalSpace: the one ordering of all parameters that every layout maps to.
//
//   CanonicalSpace space(specs);
//   space.num_elements();                              // P
//   space.tensors()[3].begin;                          // canonical index of its first element
//   auto mine = layout_of(specs, space, mesh, coords); // this rank's shards in local flat space
//   Slice slice = slice_of(rank, num_ranks, space.num_blocks(block_log2));
//
// Elements 0 to P-1 are the logical tensors in declared order, row-major, concatenated. Pure
// values; the format page is docs/formats/canonical-space.md.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "concordat/core/error.hpp"
#include "concordat/parallel/parameter_spec.hpp"

namespace concordat::parallel {

/// `count` runs of `run` elements: run i is canonical [begin + i*stride, ... + run) and lies at
/// local_begin + i*local_stride. Strides matter only when count > 1.
struct Segment {
  std::int64_t begin = 0;
  std::int64_t run = 0;
  std::int64_t count = 1;
  std::int64_t stride = 0;
  std::int64_t local_begin = 0;
  std::int64_t local_stride = 0;
  bool operator==(const Segment&) const = default;
};

/// What one rank holds of the canonical space. Local indices count through its tensors in the
/// order of the specs it holds, each contiguous and padding included ("local flat space").
struct LocalLayout {
  std::vector<Segment> held;   ///< everything with a canonical index
  std::vector<Segment> owned;  ///< the part that this rank contributes
  std::int64_t num_local = 0;  ///< elements of the local flat space
};

class CanonicalSpace {
 public:
  struct Entry {
    std::string name;
    Shape shape;
    std::int64_t begin = 0;
    std::int64_t count = 0;
  };

  CanonicalSpace() = default;
  /// @throws Error(parallel.bad_layout) for a repeated name or an empty tensor.
  explicit CanonicalSpace(std::span<const ParameterSpec> specs);

  std::int64_t num_elements() const { return num_elements_; }
  const std::vector<Entry>& tensors() const { return tensors_; }
  /// The tensor that holds canonical element `index`. O(log tensors).
  const Entry& tensor_at(std::int64_t index) const;
  /// Number of blocks of 2^block_log2 elements; the last may be shorter.
  std::int64_t num_blocks(int block_log2) const;

 private:
  std::vector<Entry> tensors_;
  std::int64_t num_elements_ = 0;
};

/// The segments of one tensor on one rank, local indices from 0 at the start of its shard; empty
/// if the rank does not hold it. `tensor` is space.tensors()[i] for specs[i].
std::vector<Segment> segments(const ParameterSpec& spec, const CanonicalSpace::Entry& tensor,
                              const MeshShape& mesh, const MeshCoords& coords);

/// visit(first, local, run): `run` neighbours of the tensor from its row-major element `first` on
/// lie from `local` on in the rank's shard. All that the rank holds of it, in the shard's order.
template <typename Visit>
void each_run(const ParameterSpec& spec, const MeshShape& mesh, const MeshCoords& coords,
              Visit&& visit) {
  const CanonicalSpace::Entry alone{
      .name = spec.name, .shape = spec.shape, .count = num_elements(spec.shape)};
  for (const Segment& segment : segments(spec, alone, mesh, coords)) {
    for (std::int64_t i = 0; i < segment.count; ++i) {
      visit(segment.begin + i * segment.stride, segment.local_begin + i * segment.local_stride,
            segment.run);
    }
  }
}

/// visit(tensor, first, part) for each tensor that canonical elements begin, begin + 1, ... of
/// `out` lie in: `part` is the piece of `out` from the tensor's row-major element `first` on.
/// @pre [begin, begin + out.size()) lies in the space.
template <typename T, typename Visit>
void each_tensor(const CanonicalSpace& space, std::int64_t begin, std::span<T> out, Visit&& visit) {
  const std::int64_t end = begin + static_cast<std::int64_t>(out.size());
  CONCORDAT_REQUIRE(begin >= 0 && end <= space.num_elements(),
                    std::to_string(begin) + " to " + std::to_string(end));
  for (std::size_t i = 0; i < space.tensors().size(); ++i) {
    const auto& tensor = space.tensors()[i];
    const std::int64_t from = std::max(begin, tensor.begin);
    const std::int64_t to = std::min(end, tensor.begin + tensor.count);
    if (from >= to) continue;
    visit(i, from - tensor.begin,
          out.subspan(static_cast<std::size_t>(from - begin), static_cast<std::size_t>(to - from)));
  }
}

/// All tensors of one rank. @throws Error(parallel.bad_layout).
LocalLayout layout_of(std::span<const ParameterSpec> specs, const CanonicalSpace& space,
                      const MeshShape& mesh, const MeshCoords& coords);

/// A contiguous run of blocks, [begin_block, end_block), and its elements.
struct Slice {
  std::int64_t begin_block = 0;
  std::int64_t end_block = 0;
  std::int64_t begin = 0;  ///< canonical index of the first element
  std::int64_t end = 0;
  std::int64_t count() const { return end - begin; }
  bool operator==(const Slice&) const = default;
};

/// Blocks [first, last) of rank `rank`: as equal as whole blocks allow, lower ranks get the rest.
struct BlockRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};
BlockRange slice_of(int rank, int num_ranks, std::int64_t num_blocks);
Slice slice_of(int rank, int num_ranks, std::int64_t num_elements, int block_log2);

/// The layout of a slice: one buffer of slice.count() elements.
LocalLayout layout_of(const Slice& slice);

/// A canonical range that shares one public scale.
struct Span {
  std::int64_t begin = 0;
  std::int64_t count = 0;
  bool operator==(const Span&) const = default;
};
/// Below this a span joins the next of its block, the last one the one before.
inline constexpr std::int64_t min_span_elements = 4096;
/// The spans of a block, ascending, covering it. Never empty; the one span of a block that is
/// shorter than min_span_elements is the block itself.
std::vector<Span> spans_of_block(const CanonicalSpace& space, int block_log2, std::int64_t block);

}  // namespace concordat::parallel
