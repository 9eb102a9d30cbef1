// A site without a trainer: weights that a formula moves, on any layout.
#pragma once

#include <cmath>
#include <functional>

#include "concordat/comm/threads.hpp"
#include "concordat/exact/normal.hpp"
#include "concordat/site/ranks_exchange.hpp"
#include "support/faulty_files.hpp"

namespace concordat::site {

/// The real files without real syncs, shared by all threads of a test.
inline testing_support::FaultyFiles& quick_files() {
  static testing_support::FaultyFiles files;
  return files;
}

/// 49,000 elements: three blocks of 2^14, tensors of many sizes, one norm inside another's block.
inline std::vector<parallel::ParameterSpec> toy_specs() {
  const auto spec = [](const char* name, Shape shape, std::optional<int> axis) {
    parallel::ParameterSpec result;
    result.name = name;
    result.shape = std::move(shape);
    result.shard_axis = axis;
    return result;
  };
  std::vector<parallel::ParameterSpec> specs{
      spec("embed", {131, 100}, 0), spec("norm", {100}, std::nullopt), spec("up", {200, 100}, 0),
      spec("down", {100, 100}, 1), spec("head", {58, 100}, 0)};
  specs[0].padded = true;  // 131 rows on two ranks: one of padding
  return specs;
}

inline OuterTerms toy_terms() {
  OuterTerms terms;
  terms.outer = {.kind = exact::OuterKind::nesterov, .eta = 0.7F, .mu = 0.5F};
  terms.scales = {.first_multiple = 1.0, .summed_rates = 0.05, .spread = 4.0};
  terms.first_round = {.bits = 8, .lane = exact::Lane::u16};
  terms.later_rounds = {.bits = 4, .lane = exact::Lane::u8};
  terms.weight_cap = 1000;
  terms.block_log2 = 14;
  return terms;
}

/// Calls f(canonical index, value) for every element that this rank holds.
inline void for_each_element(const parallel::LocalLayout& layout, const Tensor& local,
                             const std::function<void(std::int64_t, float&)>& f) {
  const std::span<float> values = local.span<float>();
  for (const parallel::Segment& s : layout.held) {
    for (std::int64_t i = 0; i < s.count; ++i) {
      for (std::int64_t j = 0; j < s.run; ++j) {
        f(s.begin + i * s.stride + j,
          values[static_cast<std::size_t>(s.local_begin + i * s.local_stride + j)]);
      }
    }
  }
}

/// The update that the inner steps of a site make in a round.
inline float toy_update(std::size_t site, std::uint32_t round, std::int64_t index) {
  const float x = static_cast<float>(index % 997) * 0.013F + static_cast<float>(site) * 0.7F +
                  static_cast<float>(round);
  return 0.02F * std::sin(x);
}

/// One rank of a toy site.
class ToyRank {
 public:
  ToyRank(comm::Communicator& comm, const FileSystem::Path& run, const OuterTerms& terms, int tp,
          FileSystem& fs = quick_files())
      : comm_(comm),
        mesh_{.dp = comm.size() / tp, .pp = 1, .cp = 1, .tp = tp},
        layout_(
            parallel::layout_of(specs_, space_, mesh_, parallel::coords_of(mesh_, comm.rank()))),
        weights_(host_tensor(Dtype::f32, {layout_.num_local})),
        exchange(comm, {fs, system_clock(), crypto::system_random()}, run, terms, space_, layout_) {
  }

  void start() {
    for_each_element(layout_, weights_, [](std::int64_t index, float& w) {
      exact::initialise_normal(1, 0, static_cast<std::uint64_t>(index), {&w, 1}, 0.02F);
    });
    exchange.start(weights_);
  }
  void inner_steps(std::size_t site) {
    for_each_element(layout_, weights_, [&](std::int64_t index, float& w) {
      w -= toy_update(site, exchange.round().value(), index);
    });
  }
  const parallel::CanonicalSpace& space() const { return space_; }
  const parallel::LocalLayout& layout() const { return layout_; }
  const Tensor& weights() const { return weights_; }

 private:
  comm::Communicator& comm_;
  std::vector<parallel::ParameterSpec> specs_ = toy_specs();
  parallel::CanonicalSpace space_{specs_};
  parallel::MeshShape mesh_;
  parallel::LocalLayout layout_;
  Tensor weights_;

 public:
  RanksExchange exchange;
};

}  // namespace concordat::site
