#include "concordat/model/ring_attention.hpp"

#include "concordat/device/ops/elementwise.hpp"

namespace concordat::model {

namespace {

using device::AttentionShape;

/// Messages of one kind between two ranks arrive in order, so a tag a kind is enough.
enum Tag : int { keys_forward = 1, keys_backward = 2, gradients_up = 3, gradients_home = 4 };

Tensor keys(const Tensor& kv) { return kv.slice(1, 0, kv.dim(1) / 2); }
Tensor values(const Tensor& kv) { return kv.slice(1, kv.dim(1) / 2, kv.dim(1) / 2); }

/// The chunk that lies `below` ranks under this one's.
AttentionShape shape_below(AttentionShape shape, int below) {
  shape.k_begin -= below * shape.k_length;
  return shape;
}

/// The neighbours on the cp axis, and messages beside the stream of the ops.
class Ring {
 public:
  explicit Ring(Pass& pass) : pass_(pass), group_(pass.mesh.axis(parallel::Axis::cp)) {}
  int rank() const { return group_.rank(); }
  bool is_last() const { return rank() + 1 == group_.size(); }
  int last() const { return group_.size() - 1; }

  /// Buffered, in the stream of the ops.
  void send(const Tensor& tensor, int to, Tag tag) {
    group_.send(tensor, to, tag, pass_.exec.stream);
  }

  /// A message under way into a new tensor; await() orders the ops behind its arrival.
  struct Arrival {
    Tensor tensor;
    comm::Handle handle;
  };
  Arrival expect(const Tensor& like, int from, Tag tag) {
    Arrival arrival{.tensor = pass_.take(like.dim(0), like.dim(1)), .handle = {}};
    // The buffer may still be in use by ops in front of this point.
    pass_.messages->wait(pass_.exec.stream.record());
    arrival.handle = group_.recv(arrival.tensor, from, tag, *pass_.messages);
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
};

}  // namespace

void ring_attention_forward(Pass& pass, const AttentionResult& result, const Tensor& q,
                            const Tensor& kv, const AttentionShape& shape) {
  Ring ring(pass);
  Ring::Arrival next;
  if (!ring.is_last()) ring.send(ring.packed(kv), ring.rank() + 1, keys_forward);
  if (ring.rank() > 0) next = ring.expect(kv, ring.rank() - 1, keys_forward);
  device::attention_forward(pass.exec, result.out, result.lse, q, keys(kv), values(kv), shape);
  if (ring.rank() == 0) return;
  const Tensor out = pass.take(result.out.dim(0), result.out.dim(1));
  const Tensor lse = pass.take(result.lse.dim(0), result.lse.dim(1));
  for (int below = 1; below <= ring.rank(); ++below) {
    const Tensor chunk = ring.await(next);
    if (!ring.is_last()) ring.send(chunk, ring.rank() + 1, keys_forward);
    if (below < ring.rank()) next = ring.expect(kv, ring.rank() - 1, keys_forward);
    const AttentionShape there = shape_below(shape, below);
    device::attention_forward(pass.exec, out, lse, q, keys(chunk), values(chunk), there);
    device::attention_merge(pass.exec, result.out, result.lse, out, lse, there);
  }
}

void ring_attention_backward(Pass& pass, const RingGradients& gradients, const Tensor& grad_out,
                             const Tensor& q, const Tensor& kv, const AttentionResult& result,
                             const AttentionShape& shape) {
  Ring ring(pass);
  Ring::Arrival next;
  Ring::Arrival next_gradient;
  if (!ring.is_last()) ring.send(ring.packed(kv), ring.rank() + 1, keys_backward);
  if (ring.rank() > 0) next = ring.expect(kv, ring.rank() - 1, keys_backward);
  device::attention_backward(pass.exec, {gradients.q, keys(gradients.kv), values(gradients.kv)},
                             grad_out, q, keys(kv), values(kv), result.out, result.lse, shape);
  if (!ring.is_last()) ring.send(ring.packed(gradients.kv), ring.rank() + 1, gradients_up);
  for (int below = 1; below <= ring.rank(); ++below) {
    const Tensor chunk = ring.await(next);
    if (!ring.is_last()) ring.send(chunk, ring.rank() + 1, keys_backward);
    next_gradient = ring.expect(kv, ring.rank() - 1, gradients_up);
    if (below < ring.rank()) next = ring.expect(kv, ring.rank() - 1, keys_backward);
    const Tensor gradient = ring.await(next_gradient);
    device::attention_backward(pass.exec, {gradients.q, keys(gradient), values(gradient)}, grad_out,
                               q, keys(chunk), values(chunk), result.out, result.lse,
                               shape_below(shape, below), device::Write::accumulate);
    // The last rank is the last to add: what it holds now goes to the chunk's own rank.
    if (ring.is_last()) {
      ring.send(gradient, ring.rank() - below, gradients_home);
    } else {
      ring.send(gradient, ring.rank() + 1, gradients_up);
    }
  }
  if (ring.is_last()) return;
  device::copy(pass.exec, gradients.kv, ring.await(ring.expect(kv, ring.last(), gradients_home)));
}

}  // namespace concordat::model
