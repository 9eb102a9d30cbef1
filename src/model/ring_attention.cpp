#include "concordat/model/ring_attention.hpp"

#include "concordat/device/ops/elementwise.hpp"

namespace concordat::model {

namespace {

/// Messages of one kind between two ranks arrive in order, so a tag a kind is enough.
enum Tag : int { keys_forward = 1, keys_backward = 2, key_gradients = 3 };

Tensor keys(const Tensor& kv) { return kv.slice(1, 0, kv.dim(1) / 2); }
Tensor values(const Tensor& kv) { return kv.slice(1, kv.dim(1) / 2, kv.dim(1) / 2); }

/// The place of this rank on the cp axis, who holds which positions, and messages beside the ops.
class Ring {
 public:
  Ring(Pass& pass, const RingShape& shape)
      : pass_(pass), group_(pass.mesh.axis(parallel::Axis::cp)), shape_(shape) {
    const GlobalLength whole(pass.batch.layout.length.value() * size());
    for (int rank = 0; rank < size(); ++rank) {
      runs_.push_back(sequence_runs(whole, size(), rank));
    }
  }
  int size() const { return group_.size(); }
  /// The rank whose keys are here after `hops`.
  int origin(int hops) const { return (group_.rank() - hops + size()) % size(); }

  /// This rank's rows of one run.
  Tensor rows(const Tensor& tensor, std::size_t run) const {
    const std::int64_t count = tensor.dim(0) / std::ssize(runs_[0].begins);
    return tensor.slice(0, static_cast<std::int64_t>(run) * count, count);
  }

  /// work(q_run, k_run, shape) for this rank's queries and the origin's keys, where any is seen.
  template <typename Work>
  void each_pair(int origin, Work&& work) const {
    const SequenceRuns& mine = runs_[static_cast<std::size_t>(group_.rank())];
    const SequenceRuns& theirs = runs_[static_cast<std::size_t>(origin)];
    for (std::size_t q = 0; q < mine.begins.size(); ++q) {
      for (std::size_t k = 0; k < theirs.begins.size(); ++k) {
        if (theirs.begins[k] > mine.begins[q]) continue;
        work(q, k,
             device::AttentionShape{.batch = pass_.batch.layout.sequences,
                                    .heads = shape_.heads,
                                    .kv_heads = shape_.kv_heads,
                                    .head_dim = shape_.head_dim,
                                    .q_length = mine.length,
                                    .k_length = theirs.length,
                                    .q_begin = mine.begins[q],
                                    .k_begin = theirs.begins[k],
                                    .rounds_to = shape_.rounds_to});
      }
    }
  }

  /// To the next rank: buffered, in the stream of the ops.
  void pass_on(const Tensor& tensor, Tag tag) {
    group_.send(tensor, (group_.rank() + 1) % size(), tag, pass_.exec.stream);
  }

  /// A message of the rank before, under way into a new tensor; await() orders the ops behind it.
  struct Arrival {
    Tensor tensor;
    comm::Handle handle;
  };
  Arrival expect(const Tensor& like, Tag tag) {
    Arrival arrival{.tensor = pass_.take(like.dim(0), like.dim(1)), .handle = {}};
    // The buffer may still be in use by ops in front of this point.
    pass_.messages->wait(pass_.exec.stream.record());
    arrival.handle = group_.recv(arrival.tensor, origin(1), tag, *pass_.messages);
    return arrival;
  }
  Tensor await(const Arrival& arrival) {
    pass_.exec.stream.wait(arrival.handle.event());
    return arrival.tensor;
  }
  Tensor packed(const Tensor& view) {
    Tensor copy = pass_.take(view.dim(0), view.dim(1));
    device::copy(pass_.exec, copy, view);
    return copy;
  }

 private:
  Pass& pass_;
  comm::Communicator& group_;
  RingShape shape_;
  std::vector<SequenceRuns> runs_;  // by rank
};

}  // namespace

void open_ring_channels(parallel::ProcessMesh& mesh) {
  mesh.axis(parallel::Axis::cp)
      .open_channels({{keys_forward, 1}, {keys_backward, 1}, {key_gradients, 1}});
}

void ring_attention_forward(Pass& pass, const AttentionResult& result, const Tensor& q,
                            const Tensor& kv, const RingShape& shape) {
  Ring ring(pass, shape);
  Tensor out, lse;  // of one pair of runs, before it is merged
  if (ring.size() > 1) {
    const Tensor like = ring.rows(result.out, 0);
    out = pass.take(like.dim(0), like.dim(1));
    lse = pass.take(like.dim(0), shape.heads);
  }
  std::vector<bool> begun(2, false);
  const auto attend = [&](const Tensor& chunk, int origin) {
    ring.each_pair(
        origin, [&](std::size_t q_run, std::size_t k_run, const device::AttentionShape& pair) {
          const AttentionResult whole{ring.rows(result.out, q_run), ring.rows(result.lse, q_run)};
          const AttentionResult part = begun[q_run] ? AttentionResult{out, lse} : whole;
          const Tensor from = ring.rows(chunk, k_run);
          device::attention_forward(pass.exec, part.out, part.lse, ring.rows(q, q_run), keys(from),
                                    values(from), pair);
          if (begun[q_run])
            device::attention_merge(pass.exec, whole.out, whole.lse, out, lse, pair);
          begun[q_run] = true;
        });
  };
  Ring::Arrival next;
  for (int hops = 0; hops < ring.size(); ++hops) {
    const bool more = hops + 1 < ring.size();
    const Tensor chunk = hops > 0 ? ring.await(next) : more ? ring.packed(kv) : kv;
    if (more) {
      ring.pass_on(chunk, keys_forward);
      next = ring.expect(kv, keys_forward);
    }
    attend(chunk, ring.origin(hops));
  }
}

void ring_attention_backward(Pass& pass, const RingGradients& gradients, const Tensor& grad_out,
                             const Tensor& q, const Tensor& kv, const AttentionResult& result,
                             const RingShape& shape) {
  Ring ring(pass, shape);
  const auto add = [&](const Tensor& chunk, const Tensor& gradient, int origin,
                       device::Write write) {
    ring.each_pair(origin,
                   [&](std::size_t q_run, std::size_t k_run, const device::AttentionShape& pair) {
                     const Tensor from = ring.rows(chunk, k_run);
                     const Tensor to = ring.rows(gradient, k_run);
                     device::attention_backward(
                         pass.exec, {ring.rows(gradients.q, q_run), keys(to), values(to)},
                         ring.rows(grad_out, q_run), ring.rows(q, q_run), keys(from), values(from),
                         ring.rows(result.out, q_run), ring.rows(result.lse, q_run), pair, write);
                   });
  };
  if (ring.size() == 1) return add(kv, gradients.kv, 0, device::Write::set);

  device::fill(pass.exec, gradients.q, 0.0);
  Tensor chunk = ring.packed(kv);
  Tensor gradient = pass.take(kv.dim(0), kv.dim(1));
  device::fill(pass.exec, gradient, 0.0);
  Ring::Arrival next, next_gradient;
  for (int hops = 0; hops < ring.size(); ++hops) {
    if (hops > 0) chunk = ring.await(next);
    if (hops + 1 < ring.size()) {
      ring.pass_on(chunk, keys_backward);
      next = ring.expect(kv, keys_backward);
    }
    if (hops > 0) gradient = ring.await(next_gradient);
    // After the last hop the gradient that comes is this rank's own, complete.
    next_gradient = ring.expect(kv, key_gradients);
    add(chunk, gradient, ring.origin(hops), device::Write::accumulate);
    ring.pass_on(gradient, key_gradients);
  }
  device::copy(pass.exec, gradients.kv, ring.await(next_gradient));
}

}  // namespace concordat::model
