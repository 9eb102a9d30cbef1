#include "concordat/model/collective_ops.hpp"

namespace concordat::model {

using comm::ReduceOp;

// The handles are dropped: what follows in the stream comes after the collective, and the enqueued
// work keeps its storage.

namespace {
/// Of one rank it is what it was, and an event for nobody would only cost.
void all_reduce(device::Exec& exec, parallel::ProcessMesh& mesh, Axis axis, const Tensor& x,
                ReduceOp op) {
  comm::Communicator& group = mesh.axis(axis);
  if (group.size() > 1) group.all_reduce(x, op, exec.stream);
}
}  // namespace

int index_on(parallel::ProcessMesh& mesh, Axis axis) { return mesh.axis(axis).rank(); }

void copy_to_axis_forward(device::Exec& /*exec*/, parallel::ProcessMesh& /*mesh*/, Axis /*axis*/,
                          const Tensor& /*x*/) {}

void copy_to_axis_backward(device::Exec& exec, parallel::ProcessMesh& mesh, Axis axis,
                           const Tensor& grad_x) {
  all_reduce(exec, mesh, axis, grad_x, ReduceOp::sum);
}

void reduce_from_axis_forward(device::Exec& exec, parallel::ProcessMesh& mesh, Axis axis,
                              const Tensor& y) {
  all_reduce(exec, mesh, axis, y, ReduceOp::sum);
}

void reduce_from_axis_backward(device::Exec& /*exec*/, parallel::ProcessMesh& /*mesh*/,
                               Axis /*axis*/, const Tensor& /*grad_y*/) {}

void gather_rows_forward(device::Exec& exec, parallel::ProcessMesh& mesh, Axis axis,
                         const Tensor& whole, const Tensor& part) {
  mesh.axis(axis).all_gather(whole, part, exec.stream);
}

void gather_rows_backward(device::Exec& exec, parallel::ProcessMesh& mesh, Axis axis,
                          const Tensor& grad_part, const Tensor& grad_whole) {
  mesh.axis(axis).reduce_scatter(grad_part, grad_whole, ReduceOp::sum, exec.stream);
}

void scatter_rows_forward(device::Exec& exec, parallel::ProcessMesh& mesh, Axis axis,
                          const Tensor& part, const Tensor& whole) {
  mesh.axis(axis).reduce_scatter(part, whole, ReduceOp::sum, exec.stream);
}

void scatter_rows_backward(device::Exec& exec, parallel::ProcessMesh& mesh, Axis axis,
                           const Tensor& grad_whole, const Tensor& grad_part) {
  mesh.axis(axis).all_gather(grad_whole, grad_part, exec.stream);
}

void maximum_over_axis(device::Exec& exec, parallel::ProcessMesh& mesh, Axis axis,
                       const Tensor& x) {
  all_reduce(exec, mesh, axis, x, ReduceOp::max);
}

}  // namespace concordat::model
