// ParameterSet: the weights of one pipeline stage on one rank: the copy that products read, and
// fp32 gradients as views of one flat buffer in buckets.
//
//   ParameterSet set(exec, declare_parameters(config), mesh, {.bucket_elements = 1 << 20});
//   Weight& qkv = set.weight({q_name, k_name, v_name});    // one matrix of neighbouring tensors
//   set.on_bucket_ready([&](const Bucket& bucket) { reduce(bucket.gradient); });
//   set.zero_gradients(exec);
//   ... forward and backward; the last micro-batch calls weight.added(place, true) ...
//
// Flat order is `parallel`'s local flat space: the shards of the stage's tensors in declared order,
// each contiguous, padding included, nothing between them. So the master weights, the optimizer's
// moments and the gradients of `train` line up with it, and neighbouring matrices with equal
// columns are one larger matrix without a copy.
//
// With gradient groups (gradient_groups.hpp) there are as many flat buffers as sums may wait, and
// the buckets are the first one. Each user of a weight then has a gradient of its own, because on
// which ranks the users are is the layout's affair: a tied table's second user keeps it beside the
// flat space, and whoever combines gradients adds it in the end.
//
// Precision: matrices and tables are kept in `compute` (f32, bf16 or f16), norms and biases in f32.
// Threads: one host thread. Weight references live as long as the set.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "concordat/device/exec.hpp"
#include "concordat/model/gradient_groups.hpp"
#include "concordat/parallel/parameter_spec.hpp"

namespace concordat::model {

class ParameterSet;

/// One or more neighbouring parameters as a layer sees them.
struct Weight {
  Parameter compute;              ///< [out, in] or [C]
  std::vector<Tensor> gradients;  ///< f32, the same shape, by depth: views of the flat gradients
  /// What a micro-batch's gradient is written to.
  const Tensor& gradient(const GroupPlace& place = {}) const {
    return gradients[static_cast<std::size_t>(place.depth)];
  }
  /// How: the first contribution of the step, or of a group, sets it, so that nobody has to clear
  /// it. Asked for once per contribution.
  device::Write next_write(const GroupPlace& place = {});
  /// gradient() for contributions that can only add: one that nobody has written yet becomes 0.
  const Tensor& sum(device::Exec& exec, const GroupPlace& place = {});
  /// A layer has written a micro-batch's gradient. `last`: of the step; each layer that uses the
  /// weight says so once, and then the gradient is final.
  void added(const GroupPlace& place, bool last);

  ParameterSet* set = nullptr;
  std::vector<int> members{};
  bool beside = false;  ///< the gradients are no views: another user of the weight has those
};

/// What a linear layer or a norm is given: a weight and, where the family has one, a bias.
struct WeightAndBias {
  // NOLINTNEXTLINE(google-explicit-constructor): a weight alone is a whole module
  WeightAndBias(Weight& weight_only, Weight* with_bias = nullptr)
      : weight(weight_only), bias(with_bias) {}
  Weight& weight;
  Weight* bias;
  /// Weight::added() of both.
  void added(const GroupPlace& place, bool last) const {
    weight.added(place, last);
    if (bias != nullptr) bias->added(place, last);
  }
};

/// One tensor of the stage in the local flat space.
struct LocalTensor {
  parallel::ParameterSpec spec;
  int ordinal = 0;         ///< place among all the model's declared tensors
  Shape shape{};           ///< of this rank's shard, padding included
  std::int64_t begin = 0;  ///< in the local flat space
  std::int64_t count = 0;
  bool counted = true;  ///< this rank's copy is the one that norms over (pp, tp) count
  Dtype compute = Dtype::f32;
};

/// A run of the flat gradients that becomes final together.
struct Bucket {
  int index = 0;
  std::int64_t begin = 0;
  std::int64_t count = 0;
  Tensor gradient;  ///< [count] f32
};

struct ParameterSettings {
  Dtype compute = Dtype::f32;
  GradientGroups groups{};
  std::int64_t bucket_elements = std::int64_t{1} << 22;
};

class ParameterSet {
 public:
  using BucketReady = std::function<void(const Bucket&)>;
  using GroupClosed = std::function<void(const Weight&, const GroupPlace&)>;

  /// `specs` are all tensors of the model in declared order; those of this rank's stage are held.
  /// Allocates; contents are undefined until the compute copy is written.
  ParameterSet(device::Exec& exec, const std::vector<parallel::ParameterSpec>& specs,
               const parallel::ProcessMesh& mesh, const ParameterSettings& settings = {});
  ParameterSet(const ParameterSet&) = delete;
  ParameterSet& operator=(const ParameterSet&) = delete;

  const std::vector<LocalTensor>& tensors() const { return tensors_; }
  std::int64_t num_local() const { return num_local_; }
  bool holds(const std::string& name) const;
  /// The tensor with this name. @throws Bug if the stage does not hold it.
  const LocalTensor& tensor(const std::string& name) const;

  /// The parameters as one matrix (or vector); they must be neighbours in declared order with equal
  /// columns. Every call announces one more user (a tied table has two). The same names give the
  /// same Weight, with groups one whose gradients lie beside the flat space.
  Weight& weight(const std::vector<std::string>& names);
  /// The weights of neighbouring modules as one, and their biases as one if the model declares any.
  WeightAndBias modules(const std::vector<std::string>& names);

  const std::deque<Weight>& weights() const { return weights_; }

  /// This rank's part [begin, begin + count) of the flat gradients.
  Tensor flat_gradient(std::int64_t begin, std::int64_t count, int depth = 0) const;
  /// Of all gradients, what waits and what lies beside included.
  std::int64_t gradient_bytes() const;
  Tensor gradient(const LocalTensor& tensor) const;
  /// The copy that products read, as one tensor of the shard's shape.
  Tensor compute(const LocalTensor& tensor) const;
  /// [count] elements of the compute copy. @pre the run lies in tensors of one compute dtype.
  Tensor flat_compute(std::int64_t begin, std::int64_t count) const;

  /// After every write to the compute copy: back ends drop their packed copies.
  void bump();
  /// Opens the step: all buckets wait again, and the first contribution to each gradient sets it.
  void open_gradients();
  /// The same with all gradients 0, for who reads some that nobody writes.
  void zero_gradients(device::Exec& exec);
  /// Whether no gradient was written since open_gradients(). Without groups the next contributions
  /// set them all.
  bool untouched() const;
  /// All gradients were written, by what the host did not call: contributions are added from now
  /// on.
  void touch() { written_.assign(tensors_.size(), true); }
  /// All gradients are final: for who said `last` of no micro-batch. Buckets become ready in their
  /// order.
  void close_gradients();
  /// Called where a closing group has sums to fold (GroupPlace::folds). @pre with groups: set.
  void on_group_closed(GroupClosed callback) { group_closed_ = std::move(callback); }
  void on_bucket_ready(BucketReady callback) { callback_ = std::move(callback); }
  const std::vector<Bucket>& buckets() const { return buckets_; }

 private:
  friend struct Weight;
  std::vector<Tensor> gradients_of(const LocalTensor& first, const Shape& shape, bool beside) const;
  void make_tensors(const std::vector<parallel::ParameterSpec>& specs,
                    const parallel::ProcessMesh& mesh, Dtype compute);
  void make_buckets(std::int64_t bucket_elements);
  void ready(const std::vector<int>& members);
  device::Write next_write(const std::vector<int>& members);

  std::vector<LocalTensor> tensors_;
  std::vector<std::int64_t> compute_begin_;  // of each tensor in the flat copy of its dtype
  std::int64_t num_local_ = 0;
  bool grouped_;
  std::vector<Tensor> gradients_;  // by depth, each [num_local]
  std::function<Tensor(const Shape&)> allocate_;
  Tensor compute_f32_;
  Tensor compute_low_;
  std::deque<Weight> weights_;
  std::vector<int> users_;     // layers that will announce each tensor
  std::vector<int> waiting_;   // of them, not yet in this step
  std::vector<bool> written_;  // each tensor's gradient, in this step
  std::vector<Bucket> buckets_;
  std::vector<int> bucket_of_;
  std::vector<int> bucket_waiting_;
  BucketReady callback_;
  GroupClosed group_closed_;
};

}  // namespace concordat::model
