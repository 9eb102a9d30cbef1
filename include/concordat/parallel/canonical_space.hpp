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

#include <cstdint>
#include <span>
#include <string>
#include <vector>

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
