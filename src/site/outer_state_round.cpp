// The arithmetic of a round on the blocks of a slice.
#include <algorithm>

#include "concordat/privacy/rounding.hpp"
#include "site/outer_state.hpp"

namespace concordat::site {

void OuterState::quantise_block(Round round, std::size_t i, const RoundInputs& inputs,
                                BlockScratch& scratch, ByteSpan codes,
                                std::span<float> error_out) const {
  const Block& block = blocks_[i];
  const exact::Quantiser& q = terms_.quantiser_of(round);
  const std::size_t width = exact::lane_bytes(q.lane);
  scratch.update.resize(block.count);
  scratch.words.resize(block.count);
  exact::make_update(part(phi_, block.begin, block.count),
                     inputs.theta.subspan(block.begin, block.count), scratch.update);
  privacy::rounding_words(inputs.rounding_key, block_index(i), scratch.words);
  const std::span<const float> update = scratch.update;
  const std::span<const std::uint32_t> words = scratch.words;
  const std::span<const float> error = part(error_, block.begin, block.count);
  for (std::size_t k = 0; k < block.spans.size(); ++k) {
    const auto count = static_cast<std::size_t>(block.spans[k].count);
    const auto first = static_cast<std::size_t>(block.spans[k].begin - slice_.begin) - block.begin;
    exact::quantise(q, inputs.weight, scales_.span<float>()[block.first_scale + k],
                    update.subspan(first, count), error.subspan(first, count),
                    words.subspan(first, count), static_cast<std::uint64_t>(block.spans[k].begin),
                    codes.subspan(first * width, count * width),
                    error_out.empty() ? error_out : error_out.subspan(first, count));
  }
}

void OuterState::step_span(Round round, const Block& block, std::size_t k,
                           const RoundClosing& closing, ByteView sums, std::span<float> d) {
  const exact::Quantiser& q = terms_.quantiser_of(round);
  const auto count = static_cast<std::size_t>(block.spans[k].count);
  const auto begin = static_cast<std::size_t>(block.spans[k].begin - slice_.begin);
  float& scale = scales_.span<float>()[block.first_scale + k];
  exact::dequantise(q, scale, closing.weight, sums, d);
  scale = exact::next_scale(terms_.scales, q, terms_.quantiser_of(round.next()).bits, scale,
                            closing.weight.survivors,
                            exact::sum_of_squares(q, closing.weight.survivors, sums), count);
  exact::outer_step(terms_.outer, part(phi_, begin, count), d,
                    {part(m_, begin, count), part(v_, begin, count)});
}

void OuterState::apply_block(Round round, std::size_t i, const RoundClosing& closing,
                             const RoundInputs& inputs, BlockScratch& scratch, ByteView sums) {
  const Block& block = blocks_[i];
  const std::size_t width = exact::lane_bytes(terms_.quantiser_of(round).lane);
  const std::span<float> phi = part(phi_, block.begin, block.count);
  const std::span<float> theta = inputs.theta.subspan(block.begin, block.count);
  if (closing.listed) {
    // The codes were made once before, in run() or before a restart: the same words and scales give
    // the same codes and with them what was lost.
    scratch.codes.resize(block.count * width);
    quantise_block(round, i, inputs, scratch, scratch.codes,
                   part(error_, block.begin, block.count));
  }
  scratch.base.assign(phi.begin(), phi.end());
  if (closing.weight.total > 0) {
    scratch.d.resize(block.count);
    for (std::size_t k = 0; k < block.spans.size(); ++k) {
      const auto count = static_cast<std::size_t>(block.spans[k].count);
      const auto first =
          static_cast<std::size_t>(block.spans[k].begin - slice_.begin) - block.begin;
      step_span(round, block, k, closing, sums.subspan(first * width, count * width),
                std::span(scratch.d).subspan(first, count));
    }
  }
  if (closing.listed) {
    std::ranges::copy(phi, theta.begin());
  } else {
    exact::follow_shared_model(theta, phi, scratch.base);
  }
}

}  // namespace concordat::site
