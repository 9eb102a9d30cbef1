#include "site/outer_state.hpp"

#include <algorithm>

#include "concordat/parallel/state_digest.hpp"
#include "site/state_import.hpp"

namespace concordat::site {

namespace {

Tensor zeros(std::int64_t count) { return count > 0 ? host_tensor(Dtype::f32, {count}) : Tensor(); }

std::span<const float> values(const Tensor& tensor) {
  return tensor.empty() ? std::span<const float>() : tensor.span<float>();
}

}  // namespace

OuterTerms terms_of(const federation::RunAgreement& agreement) {
  return {.outer = agreement.outer,
          .scales = agreement.scales,
          .first_round = agreement.first_round,
          .later_rounds = agreement.later_rounds,
          .weight_cap = agreement.weight_cap,
          .block_log2 = static_cast<int>(agreement.block_log2)};
}

OuterState::OuterState(const OuterTerms& terms, const parallel::CanonicalSpace& space, int rank,
                       int num_ranks)
    : terms_(terms),
      space_(space),
      slice_(parallel::slice_of(rank, num_ranks, space.num_elements(), terms.block_log2)) {
  exact::check_settings(terms.outer);
  exact::check_rule(terms.scales);
  std::int64_t mine = 0;
  for (std::int64_t b = 0; b < space.num_blocks(terms.block_log2); ++b) {
    std::vector<parallel::Span> spans = parallel::spans_of_block(space, terms.block_log2, b);
    const auto count = static_cast<std::int64_t>(spans.size());
    num_scales_ += count;
    if (b < slice_.begin_block) scales_begin_ += count;
    if (b < slice_.begin_block || b >= slice_.end_block) continue;
    const std::int64_t begin = spans.front().begin;
    const std::int64_t end = spans.back().begin + spans.back().count;
    blocks_.push_back({static_cast<std::size_t>(begin - slice_.begin),
                       static_cast<std::size_t>(end - begin), static_cast<std::size_t>(mine),
                       std::move(spans)});
    mine += count;
  }
  phi_ = zeros(slice_.count());
  error_ = zeros(slice_.count());
  scales_ = zeros(mine);
  const int moments = exact::num_moments(terms.outer.kind);
  if (moments > 0) m_ = zeros(slice_.count());
  if (moments > 1) v_ = zeros(slice_.count());
}

BlockIndex OuterState::block_index(std::size_t i) const {
  return BlockIndex{static_cast<std::uint64_t>(slice_.begin_block) + i};
}

std::span<float> OuterState::part(const Tensor& tensor, std::size_t begin,
                                  std::size_t count) const {
  if (tensor.empty()) return {};
  return tensor.span<float>().subspan(begin, count);
}

void OuterState::begin() {
  for (const Tensor* tensor : {&m_, &v_, &error_}) {
    if (!tensor->empty()) std::ranges::fill(tensor->span<float>(), 0.0F);
  }
  if (scales_.empty()) return;
  std::ranges::fill(scales_.span<float>(),
                    exact::first_scale(terms_.scales, terms_.first_round.bits));
}

std::vector<checkpoint::NamedTensor> OuterState::named_tensors() const {
  const std::int64_t count = space_.num_elements();
  const int moments = exact::num_moments(terms_.outer.kind);
  std::vector<checkpoint::NamedTensor> named;
  const auto add = [&](const char* name, const Tensor& tensor) {
    named.push_back(checkpoint::named_slice(name, count, Dtype::f32, tensor, slice_));
  };
  add("outer/phi", phi_);
  if (moments > 0) add("outer/m", m_);
  if (moments > 1) add("outer/v", v_);
  add("outer/error", error_);
  checkpoint::NamedTensor scales{.name = "outer/scales",
                                 .shape = {num_scales_},
                                 .dtype = Dtype::f32,
                                 .local = scales_,
                                 .held = {},
                                 .owned = {}};
  if (!scales_.empty()) scales.held = {{scales_begin_, scales_.size(), 1, 0, 0, 0}};
  scales.owned = scales.held;
  named.push_back(std::move(scales));
  return named;
}

void OuterState::read_import(FileSystem& fs, const FileSystem::Path& run_folder) {
  begin();
  const auto read = [&](const char* vector, const Tensor& tensor, std::int64_t first) {
    if (tensor.empty()) return;
    const std::span<float> values = tensor.span<float>();
    fs.open(import_vector(run_folder, vector), OpenMode::read)
        ->read_at(4 * static_cast<std::uint64_t>(first),
                  {reinterpret_cast<std::uint8_t*>(values.data()), values.size_bytes()});
  };
  read("model", phi_, slice_.begin);
  read("m", m_, slice_.begin);
  read("v", v_, slice_.begin);
  read("scales", scales_, scales_begin_);
}

Digest OuterState::digest(comm::Communicator& comm, Round round) const {
  std::vector<parallel::VectorLeaves> vectors;
  const auto add = [&](const char* name, const Tensor& tensor) {
    vectors.push_back(
        {name, parallel::gather_leaves(
                   comm, parallel::slice_leaves(name, slice_, terms_.block_log2, values(tensor)))});
  };
  const int moments = exact::num_moments(terms_.outer.kind);
  add("model", phi_);
  if (moments > 0) add("m", m_);
  if (moments > 1) add("v", v_);
  std::vector<Digest> scale_leaves;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const std::span<float> scales = part(scales_, blocks_[i].first_scale, blocks_[i].spans.size());
    scale_leaves.push_back(parallel::state_leaf(
        "scales", static_cast<std::int64_t>(block_index(i).value()),
        {reinterpret_cast<const std::uint8_t*>(scales.data()), scales.size_bytes()}));
  }
  vectors.push_back({"scales", parallel::gather_leaves(comm, scale_leaves)});
  return parallel::state_root(round, space_.num_elements(), terms_.block_log2, vectors);
}

}  // namespace concordat::site
