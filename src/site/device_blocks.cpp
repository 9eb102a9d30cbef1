// A block's update made into masked codes by a back end's op, with the host's bits.
#include "site/device_blocks.hpp"

#include <cstring>

#include "concordat/device/pending.hpp"
#include "concordat/exact/outer.hpp"
#include "concordat/privacy/rounding.hpp"
#include "concordat/site/errors.hpp"
#include "site/outer_state.hpp"

namespace concordat::site {
namespace {

template <typename T>
Tensor sent(device::Exec& exec, const Tensor& room, std::span<const T> values) {
  const Tensor to = room.slice(0, 0, static_cast<std::int64_t>(values.size()));
  device::write<T>(exec, to, values);
  return to;
}

Tensor part_of(const Tensor& t, std::size_t first, std::size_t count) {
  return t.slice(0, static_cast<std::int64_t>(first), static_cast<std::int64_t>(count));
}

[[noreturn]] void throw_other_bits(const device::Backend& backend,
                                   const parallel::CanonicalSpace& space, BlockIndex block,
                                   std::int64_t index, std::size_t differing, std::size_t count) {
  const parallel::CanonicalSpace::Entry& tensor = space.tensor_at(index);
  throw Error(
      errors::device_differs,
      {.what = "the device quantises an update to other bits than the host",
       .where = std::string(backend.name()) + " (" + backend.instructions_in_use() + "), block " +
                std::to_string(block.value()) + ", canonical index " + std::to_string(index) +
                ", element " + std::to_string(index - tensor.begin) + " of " + tensor.name,
       .found = std::to_string(differing) + " of " + std::to_string(count) +
                " codes of the block differ, this one first",
       .expected = "the host's codes, which the site's error feedback is made of",
       .remedy = "nothing was committed: set train.device=cpu to go on, and have the device "
                 "and its driver tested (scripts/gpu-check.sh) before it computes again"});
}

}  // namespace

DeviceBlocks::DeviceBlocks(device::Exec& e, std::int64_t elements, exact::Lane lane)
    : exec(e),
      base(e.backend.allocate(Dtype::f32, {elements})),
      theta(e.backend.allocate(Dtype::f32, {elements})),
      error(e.backend.allocate(Dtype::f32, {elements})),
      words(e.backend.allocate(Dtype::u32, {elements})),
      lanes(e.backend.allocate(device::lane_dtype(lane), {elements})),
      not_finite(e.backend.allocate(Dtype::i32, {1})) {}

void OuterState::mask_block_on(const DeviceBlocks& device, Round round, std::size_t i,
                               const RoundInputs& inputs, BlockScratch& scratch,
                               ByteSpan lanes) const {
  const Block& block = blocks_[i];
  const bool looked_at = i == round.value() % blocks_.size();
  const Bytes masks = looked_at ? Bytes(lanes.begin(), lanes.end()) : Bytes{};
  device::Exec& exec = device.exec;
  scratch.words.resize(block.count);
  privacy::rounding_words(inputs.rounding_key, block_index(i), scratch.words);
  const auto floats = [&](const Tensor& room, std::span<const float> values) {
    return sent<float>(exec, room, values);
  };
  const Tensor base = floats(device.base, part(phi_, block.begin, block.count));
  const Tensor theta = floats(device.theta, inputs.theta.subspan(block.begin, block.count));
  const Tensor error = floats(device.error, part(error_, block.begin, block.count));
  const Tensor words = sent<std::uint32_t>(exec, device.words, scratch.words);
  const Tensor masked = part_of(device.lanes, 0, block.count);
  device::write_bytes(exec, masked, std::as_bytes(lanes));
  const std::int32_t none = 0;
  device::write<std::int32_t>(exec, device.not_finite, {&none, 1});
  for (std::size_t k = 0; k < block.spans.size(); ++k) {
    const auto count = static_cast<std::size_t>(block.spans[k].count);
    const auto first = static_cast<std::size_t>(block.spans[k].begin - slice_.begin) - block.begin;
    const Tensor codes = part_of(masked, first, count);
    device::quantise_update(exec, {.codes = codes, .error = {}, .not_finite = device.not_finite},
                            {.base = part_of(base, first, count),
                             .theta = part_of(theta, first, count),
                             .error = part_of(error, first, count),
                             .random = part_of(words, first, count),
                             .mask = codes},
                            {.quantiser = terms_.quantiser_of(round),
                             .weight = inputs.weight,
                             .scale = scales_.span<float>()[block.first_scale + k]});
  }
  const auto flag = device::read_back<std::int32_t>(exec, device.not_finite);
  device::read_bytes(exec, masked, reinterpret_cast<std::byte*>(lanes.data()), nullptr).wait();
  if (flag.get() == 0) {
    if (looked_at) require_host_bits(device, round, i, inputs, scratch, masks, lanes);
    return;
  }
  // The host's pass over the same numbers names the element.
  quantise_block(round, i, inputs, scratch, lanes, {});
  throw Bug("the back end " + std::string(exec.backend.name()) +
            " found a number that is none in " + "block " + std::to_string(block_index(i).value()) +
            ", the host did not");
}

void OuterState::require_host_bits(const DeviceBlocks& device, Round round, std::size_t i,
                                   const RoundInputs& inputs, BlockScratch& scratch, ByteView masks,
                                   ByteView found) const {
  const exact::Lane lane = terms_.quantiser_of(round).lane;
  const std::size_t width = exact::lane_bytes(lane);
  Bytes expected(found.size());
  quantise_block(round, i, inputs, scratch, expected, {});
  exact::add_lanes(lane, expected, masks);
  const Block& block = blocks_[i];
  std::size_t differing = 0;
  std::size_t first = 0;
  for (std::size_t k = block.count; k-- > 0;) {
    if (std::memcmp(&expected[k * width], &found[k * width], width) == 0) continue;
    ++differing;
    first = k;
  }
  if (differing == 0) return;
  throw_other_bits(device.exec.backend, space_, block_index(i),
                   slice_.begin + static_cast<std::int64_t>(block.begin + first), differing,
                   block.count);
}

}  // namespace concordat::site
