#include "concordat/model/shared_rows.hpp"

#include "concordat/model/collective_ops.hpp"

namespace concordat::model {

Tensor whole_rows(Pass& pass, const Tensor& x) {
  if (!pass.rows_sharded) {
    copy_to_axis_forward(pass.exec, pass.mesh, Axis::tp, x);
    return x;
  }
  Tensor whole = pass.pool.take(x.dtype(), {x.dim(0) * pass.mesh.shape().tp, x.dim(1)});
  gather_rows_forward(pass.exec, pass.mesh, Axis::tp, whole, x);
  return whole;
}

Tensor summed_rows(Pass& pass, const Tensor& partial) {
  if (!pass.rows_sharded) {
    reduce_from_axis_forward(pass.exec, pass.mesh, Axis::tp, partial);
    return partial;
  }
  Tensor part = pass.take(partial.dim(0) / pass.mesh.shape().tp, partial.dim(1));
  scatter_rows_forward(pass.exec, pass.mesh, Axis::tp, part, partial);
  return part;
}

}  // namespace concordat::model
