// ParameterSet: the weights of one pipeline stage on one rank: the copy that products read, and
// fp32 gradients as views of one flat buffer in buckets.
//
//   ParameterSet set(exec, declare_parameters(config), mesh, {.bucket_elements = 1 << 20});
//   Weight& qkv = set.weight({q_name, k_name, v_name});    // one matrix of neighbouring tensors
//   set.on_bucket_ready([&](const Bucket& bucket) { reduce(bucket.gradient); });
//   set.zero_gradients(exec);
//   ... forward and backward; the last micro-batch calls weight.ready() ...
//
// Flat order is `parallel`'s local flat space: the shards of the stage's tensors in declared order,
// each contiguous, padding included, nothing between them. So the master weights, the optimizer's
// moments and the gradients of `train` line up with it, and neighbouring matrices with equal
// columns are one larger matrix without a copy.
//
// Precision: matrices and tables are kept in `compute` (f32, bf16 or f16), norms and biases in f32.
// Threads: one host thread. Weight references live as long as the set.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "concordat/device/exec.hpp"
#include "concordat/parallel/parameter_spec.hpp"

namespace concordat::model {

class ParameterSet;

/// One or more neighbouring parameters as a layer sees them.
struct Weight {
  Parameter compute;  ///< [out, in] or [C]
  Tensor gradient;    ///< f32, the same shape: a view of the flat gradients
  /// How the next contribution to the gradient is written: the step's first one sets it, so that
  /// nobody has to clear it. Asked for once per contribution.
  device::Write next_write();
  /// For contributions that can only add: a gradient that nobody has written yet becomes 0.
  void open_for_adding(device::Exec& exec);
  /// A layer's gradient is final for this step. Each layer that uses the weight calls it once.
  void ready();

  ParameterSet* set = nullptr;
  std::vector<int> members{};
};

/// What a linear layer or a norm is given: a weight and, where the family has one, a bias.
struct WeightAndBias {
  // NOLINTNEXTLINE(google-explicit-constructor): a weight alone is a whole module
  WeightAndBias(Weight& weight_only, Weight* with_bias = nullptr)
      : weight(weight_only), bias(with_bias) {}
  Weight& weight;
  Weight* bias;
  /// The layer's gradients are final for this step.
  void ready() const {
    weight.ready();
    if (bias != nullptr) bias->ready();
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
  std::int64_t bucket_elements = std::int64_t{1} << 22;
};

class ParameterSet {
 public:
  using BucketReady = std::function<void(const Bucket&)>;

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
  /// columns.
  /// The same names give the same Weight, and every call announces one more user (a tied table).
  Weight& weight(const std::vector<std::string>& names);
  /// The weights of neighbouring modules as one, and their biases as one if the model declares any.
  WeightAndBias modules(const std::vector<std::string>& names);

  /// This rank's part [begin, begin + count) of the flat gradients.
  Tensor flat_gradient(std::int64_t begin, std::int64_t count) const;
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
  void on_bucket_ready(BucketReady callback) { callback_ = std::move(callback); }
  const std::vector<Bucket>& buckets() const { return buckets_; }

 private:
  friend struct Weight;
  void make_tensors(const std::vector<parallel::ParameterSpec>& specs,
                    const parallel::ProcessMesh& mesh, Dtype compute);
  void make_buckets(std::int64_t bucket_elements);
  void ready(const std::vector<int>& members);
  device::Write next_write(const std::vector<int>& members);

  std::vector<LocalTensor> tensors_;
  std::vector<std::int64_t> compute_begin_;  // of each tensor in the flat copy of its dtype
  std::int64_t num_local_ = 0;
  Tensor gradients_;
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
};

}  // namespace concordat::model
