// OuterState: one rank's slice of what all sites share (phi, outer moments, scales) and of what
// stays at the site (error feedback), and the arithmetic of a round, block by block.
//
//   OuterState state(terms, space, comm.rank(), comm.size());
//   state.begin(phi_slice);                                   // round 0
//   state.quantise_block(round, i, inputs, scratch, codes, {});    // i counts blocks of the slice
//   state.apply_block(round, i, closing, inputs, scratch, sums);   // after the closing
//   Digest digest = state.digest(comm, round.next());
//
// The same numbers come out for every number of ranks: spans, scales and rounding words belong to
// blocks, never to slices. Threads: one host thread.
#pragma once

#include <span>
#include <vector>

#include "concordat/crypto/secret_bytes.hpp"
#include "concordat/site/ranks_exchange.hpp"

namespace concordat::site {

/// What this site brings to a round.
struct RoundInputs {
  const crypto::SecretBytes& rounding_key;
  exact::SiteWeight weight;
  std::span<float> theta;  ///< the slice after the inner steps; apply_block writes the next start
};

/// What the closing record says.
struct RoundClosing {
  exact::SumWeight weight;
  bool listed = true;  ///< this site is among the survivors
};

/// Buffers of one block, reused.
struct BlockScratch {
  std::vector<float> update, d, base;
  std::vector<std::uint32_t> words;
  Bytes codes;
};

struct DeviceBlocks;

class OuterState {
 public:
  /// `space` must outlive this.
  OuterState(const OuterTerms& terms, const parallel::CanonicalSpace& space, int rank,
             int num_ranks);

  const parallel::Slice& slice() const { return slice_; }
  std::size_t num_blocks() const { return blocks_.size(); }
  /// Index of the i-th block of the slice among all blocks, and its elements.
  BlockIndex block_index(std::size_t i) const;
  std::size_t block_elements(std::size_t i) const { return blocks_[i].count; }

  /// The slice of phi as a tensor [slice.count] f32; empty if the slice is.
  const Tensor& phi() const { return phi_; }
  /// Moments and error become 0, scales the first ones; phi is the caller's to fill.
  void begin();
  std::vector<checkpoint::NamedTensor> named_tensors() const;
  /// Fills phi, moments and scales of the slice from a donor's state; the error becomes 0.
  void read_import(FileSystem& fs, const FileSystem::Path& run_folder);
  /// Collective over `comm`.
  Digest digest(comm::Communicator& comm, Round round) const;

  /// Codes of block i of the update phi - theta. `error_out` as in exact::quantise: empty, or the
  /// block's new error feedback.
  void quantise_block(Round round, std::size_t i, const RoundInputs& inputs, BlockScratch& scratch,
                      ByteSpan codes, std::span<float> error_out) const;
  /// The same by `device`'s op: `lanes` come as the sum of the block's masks and become the masked
  /// codes, with the bits of quantise_block and privacy::mask_block. One block of the slice a
  /// round, the next each round, is made on the host too. (device_blocks.cpp)
  /// @throws Error(exact.not_finite | site.device_differs).
  void mask_block_on(const DeviceBlocks& device, Round round, std::size_t i,
                     const RoundInputs& inputs, BlockScratch& scratch, ByteSpan lanes) const;
  /// Error feedback, dequantised update, scales, outer step and theta of block i. With a total
  /// weight of 0 the shared state stays as it is.
  void apply_block(Round round, std::size_t i, const RoundClosing& closing,
                   const RoundInputs& inputs, BlockScratch& scratch, ByteView sums);

 private:
  struct Block {
    std::size_t begin = 0;        ///< in the slice
    std::size_t count = 0;        ///< elements
    std::size_t first_scale = 0;  ///< in scales_
    std::vector<parallel::Span> spans;
  };
  std::span<float> part(const Tensor& tensor, std::size_t begin, std::size_t count) const;
  /// `found`: what the device made of the block and its masks.
  void require_host_bits(const DeviceBlocks& device, Round round, std::size_t i,
                         const RoundInputs& inputs, BlockScratch& scratch, ByteView masks,
                         ByteView found) const;
  void step_span(Round round, const Block& block, std::size_t k, const RoundClosing& closing,
                 ByteView sums, std::span<float> d);

  OuterTerms terms_;
  const parallel::CanonicalSpace& space_;
  parallel::Slice slice_;
  std::vector<Block> blocks_;
  std::int64_t scales_begin_ = 0;  ///< spans before this slice
  std::int64_t num_scales_ = 0;    ///< spans of the whole model
  Tensor phi_, m_, v_, error_, scales_;
};

}  // namespace concordat::site
