// Collectives inside layers: ops on (tensor, mesh axis, stream), each with a forward and a
// backward.
//
//   copy_to_axis_forward(exec, mesh, Axis::tp, x);       // Megatron's f: x as it is ...
//   copy_to_axis_backward(exec, mesh, Axis::tp, grad_x); // ... and its gradient summed
//   reduce_from_axis_forward(exec, mesh, Axis::tp, y);   // Megatron's g: y summed ...
//   reduce_from_axis_backward(exec, mesh, Axis::tp, grad_y);  // ... and its gradient as it is
//   gather_rows_forward(exec, mesh, Axis::tp, whole, part);   // sequence parallel: [T/n,C] ->
//   [T,C]
//
// Layers call them for groups of one too, so that no layer asks whether an axis is used. All are in
// place or into given tensors, in stream order, and Collective over the axis. Tensors: contiguous.
#pragma once

#include "concordat/device/exec.hpp"
#include "concordat/parallel/mesh.hpp"

namespace concordat::model {

using parallel::Axis;

/// Place of this rank in its group along `axis`.
int index_on(parallel::ProcessMesh& mesh, Axis axis);

/// f: what every rank of the group holds goes into parts of the computation. Identity.
void copy_to_axis_forward(device::Exec& exec, parallel::ProcessMesh& mesh, Axis axis,
                          const Tensor& x);
/// The parts' gradients are summed, in place.
void copy_to_axis_backward(device::Exec& exec, parallel::ProcessMesh& mesh, Axis axis,
                           const Tensor& grad_x);

/// g: the parts' results are summed, in place.
void reduce_from_axis_forward(device::Exec& exec, parallel::ProcessMesh& mesh, Axis axis,
                              const Tensor& y);
/// Every part has the same gradient. Identity.
void reduce_from_axis_backward(device::Exec& exec, parallel::ProcessMesh& mesh, Axis axis,
                               const Tensor& grad_y);

/// whole: [n * T, C] from every rank's part: [T, C], in the group's order.
void gather_rows_forward(device::Exec& exec, parallel::ProcessMesh& mesh, Axis axis,
                         const Tensor& whole, const Tensor& part);
/// grad_part: this rank's rows of the sum of all grad_whole.
void gather_rows_backward(device::Exec& exec, parallel::ProcessMesh& mesh, Axis axis,
                          const Tensor& grad_part, const Tensor& grad_whole);

/// part: this rank's rows of the sum of all `whole`.
void scatter_rows_forward(device::Exec& exec, parallel::ProcessMesh& mesh, Axis axis,
                          const Tensor& part, const Tensor& whole);
void scatter_rows_backward(device::Exec& exec, parallel::ProcessMesh& mesh, Axis axis,
                           const Tensor& grad_whole, const Tensor& grad_part);

/// Element-wise maximum over the group, in place: the first step of a vocabulary-parallel loss.
/// It has no backward: the loss does not depend on which maximum is subtracted.
void maximum_over_axis(device::Exec& exec, parallel::ProcessMesh& mesh, Axis axis, const Tensor& x);

}  // namespace concordat::model
