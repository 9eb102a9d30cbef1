#include "concordat/model/parameters.hpp"

#include <algorithm>

#include "concordat/device/ops/elementwise.hpp"
#include "concordat/model/names.hpp"

namespace concordat::model {

namespace {
/// Matrices follow the compute dtype, the embedding and the head too: with a large vocabulary the
/// head is a third of all products. Norms and biases are small, and read by other ops.
Dtype compute_dtype(const parallel::ParameterSpec& spec, Dtype compute) {
  return spec.shape.size() == 2 ? compute : Dtype::f32;
}
}  // namespace

device::Write Weight::next_write(const GroupPlace& place) {
  if (set->grouped_) return place.opens ? device::Write::set : device::Write::accumulate;
  return set->next_write(members);
}

const Tensor& Weight::sum(device::Exec& exec, const GroupPlace& place) {
  const Tensor& into = gradient(place);
  if (next_write(place) == device::Write::set) device::fill(exec, into, 0.0);
  return into;
}

void Weight::added(const GroupPlace& place, bool last) {
  if (place.folds > 0) set->group_closed_(*this, place);
  if (last) set->ready(members);
}

ParameterSet::ParameterSet(device::Exec& exec, const std::vector<parallel::ParameterSpec>& specs,
                           const parallel::ProcessMesh& mesh, const ParameterSettings& settings)
    : grouped_(settings.groups.grouped()), allocate_([&backend = exec.backend](const Shape& shape) {
        return backend.allocate(Dtype::f32, shape);
      }) {
  make_tensors(specs, mesh, settings.compute);
  std::int64_t num_f32 = 0;
  std::int64_t num_low = 0;
  for (const LocalTensor& tensor : tensors_) {
    std::int64_t& end = tensor.compute == Dtype::f32 ? num_f32 : num_low;
    compute_begin_.push_back(end);
    end += tensor.count;
  }
  for (int depth = 0; depth < settings.groups.depth(); ++depth) {
    gradients_.push_back(allocate_({num_local_}));
  }
  if (num_f32 > 0) compute_f32_ = exec.backend.allocate(Dtype::f32, {num_f32});
  if (num_low > 0) compute_low_ = exec.backend.allocate(settings.compute, {num_low});
  make_buckets(settings.bucket_elements);
  written_.assign(tensors_.size(), false);
  users_.assign(tensors_.size(), 0);
  waiting_.assign(tensors_.size(), 0);
}

void ParameterSet::make_tensors(const std::vector<parallel::ParameterSpec>& specs,
                                const parallel::ProcessMesh& mesh, Dtype compute) {
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const auto& spec = specs[i];
    if (!parallel::holds(spec, mesh.coords())) continue;
    const auto& coords = mesh.coords();
    const auto range = parallel::shard_range(spec, mesh.shape().tp, coords.tp);
    const bool counted =
        (spec.shard_axis ? range.owner : coords.tp == 0) && coords.pp == spec.stages.front();
    LocalTensor tensor{.spec = spec,
                       .ordinal = static_cast<int>(i),
                       .shape = parallel::local_shape(spec, mesh.shape(), coords),
                       .begin = num_local_,
                       .counted = counted,
                       .compute = compute_dtype(spec, compute)};
    tensor.count = num_elements(tensor.shape);
    num_local_ += tensor.count;
    tensors_.push_back(std::move(tensor));
  }
}

void ParameterSet::make_buckets(std::int64_t bucket_elements) {
  // From the back: the last layers' gradients are final first.
  bucket_of_.assign(tensors_.size(), 0);
  std::int64_t end = num_local_;
  for (std::size_t i = tensors_.size(); i-- > 0;) {
    bucket_of_[i] = static_cast<int>(buckets_.size());
    const std::int64_t begin = tensors_[i].begin;
    if (end - begin < bucket_elements && i > 0) continue;
    buckets_.push_back(
        {static_cast<int>(buckets_.size()), begin, end - begin, flat_gradient(begin, end - begin)});
    end = begin;
  }
}

bool ParameterSet::holds(const std::string& name) const {
  return std::any_of(tensors_.begin(), tensors_.end(),
                     [&](const LocalTensor& tensor) { return tensor.spec.name == name; });
}

const LocalTensor& ParameterSet::tensor(const std::string& name) const {
  for (const LocalTensor& tensor : tensors_) {
    if (tensor.spec.name == name) return tensor;
  }
  throw Bug("this stage does not hold " + name);
}

Weight& ParameterSet::weight(const std::vector<std::string>& names) {
  CONCORDAT_REQUIRE(!names.empty(), "no names");
  std::vector<int> members;
  for (const std::string& name : names) {
    members.push_back(static_cast<int>(&tensor(name) - tensors_.data()));
    CONCORDAT_REQUIRE(members.back() == members.front() + static_cast<int>(members.size()) - 1,
                      name + " is not declared behind " + names.front());
    ++users_[static_cast<std::size_t>(members.back())];
  }
  bool beside = false;
  for (Weight& known : weights_) {
    if (known.members != members) continue;
    if (!grouped_) return known;
    beside = true;
  }
  const LocalTensor& first = tensors_[static_cast<std::size_t>(members.front())];
  Shape shape = first.shape;
  std::int64_t count = first.count;
  for (std::size_t i = 1; i < members.size(); ++i) {
    const LocalTensor& next = tensors_[static_cast<std::size_t>(members[i])];
    const bool fits = shape.size() == next.shape.size() &&
                      (shape.size() == 1 || next.shape.back() == shape.back());
    CONCORDAT_REQUIRE(fits && next.compute == first.compute,
                      next.spec.name + " does not fit below " + first.spec.name);
    shape.front() += next.shape.front();
    count += next.count;
  }
  weights_.push_back({.compute = Parameter(flat_compute(first.begin, count).reshape(shape)),
                      .gradients = gradients_of(first, shape, beside),
                      .set = this,
                      .members = std::move(members),
                      .beside = beside});
  return weights_.back();
}

WeightAndBias ParameterSet::modules(const std::vector<std::string>& names) {
  std::vector<std::string> weights;
  std::vector<std::string> biases;
  for (const std::string& name : names) {
    weights.push_back(weight_of(name));
    biases.push_back(bias_of(name));
  }
  Weight& joined = weight(weights);
  return {joined, holds(biases.front()) ? &weight(biases) : nullptr};
}

std::vector<Tensor> ParameterSet::gradients_of(const LocalTensor& first, const Shape& shape,
                                               bool beside) const {
  std::vector<Tensor> all;
  for (std::size_t depth = 0; depth < gradients_.size(); ++depth) {
    all.push_back(beside ? allocate_(shape)
                         : flat_gradient(first.begin, num_elements(shape), static_cast<int>(depth))
                               .reshape(shape));
  }
  return all;
}

Tensor ParameterSet::flat_gradient(std::int64_t begin, std::int64_t count, int depth) const {
  return gradients_[static_cast<std::size_t>(depth)].slice(0, begin, count);
}

std::int64_t ParameterSet::gradient_bytes() const {
  std::int64_t elements = 0;
  for (const Tensor& flat : gradients_) elements += flat.size();
  for (const Weight& weight : weights_) {
    if (!weight.beside) continue;
    for (const Tensor& each : weight.gradients) elements += each.size();
  }
  return 4 * elements;
}

Tensor ParameterSet::gradient(const LocalTensor& tensor) const {
  return flat_gradient(tensor.begin, tensor.count).reshape(tensor.shape);
}

Tensor ParameterSet::compute(const LocalTensor& tensor) const {
  return flat_compute(tensor.begin, tensor.count).reshape(tensor.shape);
}

Tensor ParameterSet::flat_compute(std::int64_t begin, std::int64_t count) const {
  const auto at = std::upper_bound(
      tensors_.begin(), tensors_.end(), begin,
      [](std::int64_t index, const LocalTensor& tensor) { return index < tensor.begin; });
  CONCORDAT_REQUIRE(at != tensors_.begin(), std::to_string(begin));
  const LocalTensor& first = *std::prev(at);
  const auto i = static_cast<std::size_t>(&first - tensors_.data());
  const Tensor& flat = first.compute == Dtype::f32 ? compute_f32_ : compute_low_;
  return flat.slice(0, compute_begin_[i] + begin - first.begin, count);
}

void ParameterSet::bump() {
  for (Weight& weight : weights_) weight.compute.bump();
}

void ParameterSet::zero_gradients(device::Exec& exec) {
  open_gradients();
  device::fill(exec, gradients_.front(), 0.0);
  written_.assign(tensors_.size(), true);
}

void ParameterSet::open_gradients() {
  written_.assign(tensors_.size(), false);
  waiting_ = users_;
  bucket_waiting_.assign(buckets_.size(), 0);
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    if (waiting_[i] > 0) ++bucket_waiting_[static_cast<std::size_t>(bucket_of_[i])];
  }
}

bool ParameterSet::untouched() const {
  return std::find(written_.begin(), written_.end(), true) == written_.end();
}

void ParameterSet::close_gradients() {
  for (int i = static_cast<int>(tensors_.size()) - 1; i >= 0; --i) {
    while (waiting_[static_cast<std::size_t>(i)] > 0) ready({i});
  }
}

device::Write ParameterSet::next_write(const std::vector<int>& members) {
  const bool before = written_[static_cast<std::size_t>(members.front())];
  for (const int member : members) {
    const auto i = static_cast<std::size_t>(member);
    CONCORDAT_REQUIRE(written_[i] == before, tensors_[i].spec.name + " is written in parts");
    written_[i] = true;
  }
  return before ? device::Write::accumulate : device::Write::set;
}

void ParameterSet::ready(const std::vector<int>& members) {
  for (const int member : members) {
    const auto i = static_cast<std::size_t>(member);
    CONCORDAT_REQUIRE(waiting_[i] > 0, tensors_[i].spec.name + " was ready before");
    if (--waiting_[i] > 0) continue;
    const auto bucket = static_cast<std::size_t>(bucket_of_[i]);
    if (--bucket_waiting_[bucket] == 0 && callback_) callback_(buckets_[bucket]);
  }
}

}  // namespace concordat::model
