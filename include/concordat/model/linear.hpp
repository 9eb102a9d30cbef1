// Linear: y = x W^T + bias, whole, column-parallel (W's rows are sharded) or row-parallel (its
// columns).
//
//   Linear qkv(parameters.modules({"q_proj", "k_proj", "v_proj"}), Split::columns, slots, "qkv");
//   Linear out(parameters.modules({"o_proj"}), Split::rows, slots, "out");
//   Tensor h = qkv.forward(pass, x);                       // [rows, this rank's columns]
//   Tensor y = out.forward_add(pass, attention, x);        // summed over tp, plus x
//
// Column-parallel: forward takes whole rows of x, backward sums grad_x over tp (Megatron's f). Row-
// parallel: forward sums y over tp (g), backward takes whole rows of grad_y. What "whole" and
// "sums" do under sequence parallelism: shared_rows.hpp. There a column-parallel layer keeps its
// part of x alone and gathers it again for the weight's gradient, so that saved activations shrink
// with tp. A bias is sharded like a column-parallel layer's columns; a row-parallel layer's is
// whole on every rank and enters the sum over tp once.
//
// Where the weight's copy is bf16 or f16 and the back end multiplies in it, the products' operands
// are rounded to it, and kept so for the gradient of the weight; what comes out is f32.
#pragma once

#include "concordat/device/ops/matmul.hpp"
#include "concordat/model/layer.hpp"
#include "concordat/model/parameters.hpp"

namespace concordat::model {

enum class Split { none, columns, rows };

class Linear final : public Layer {
 public:
  /// The weights must outlive the layer.
  Linear(const WeightAndBias& weights, Split split, SlotNames& slots, const std::string& name);
  Tensor forward(Pass& pass, const Tensor& x) override;
  /// The same in the format that products' operands are rounded to. @pre not row-parallel.
  Tensor forward_rounded(Pass& pass, const Tensor& x);
  /// forward_rounded(x), and gelu of it in what operands of `next` are kept in.
  struct Activated {
    Tensor product, activation;
  };
  Activated forward_gelu(Pass& pass, const Tensor& x, Dtype next);
  /// forward(x) + residual: [rows, out].
  Tensor forward_add(Pass& pass, const Tensor& x, const Tensor& residual);
  /// For a pass that remakes: the input of forward, made again, for backward_weight.
  void keep(Pass& pass, const Tensor& x);
  Tensor backward_input(Pass& pass, const Tensor& grad_y) override;
  /// backward_input, where this layer's input is gelu(x): the gradient of x, in `result`. @pre not
  /// column-parallel.
  Tensor backward_gelu(Pass& pass, const Tensor& grad_y, const Tensor& x, Dtype result);
  void backward_weight(Pass& pass) override;
  /// forward in chunks of rows, for outputs too large to be held: operand_of() makes x what
  /// products read, all of its rows, and keeps it for backward_weight; multiply() is one product.
  /// @pre the layer is column-parallel or whole.
  Tensor operand_of(Pass& pass, const Tensor& x);
  void multiply(Pass& pass, const Tensor& y, const Tensor& operand);
  /// Of the weight's copy.
  Dtype format() const { return weights_.weight.compute.value().dtype(); }
  std::int64_t num_outputs() const { return weights_.weight.compute.value().dim(0); }
  /// What the products' operands are rounded to; f32 where they are not.
  Dtype rounds_to(const Pass& pass) const;

 private:
  Tensor operand(Pass& pass, const Tensor& x) const;
  Tensor product(Pass& pass, const Tensor& x, const Tensor& residual, Dtype result = Dtype::f32);
  /// Column-parallel: x of all rows.
  Tensor gathered(Pass& pass, const Tensor& mine) const;
  /// Row-parallel: grad_y of all rows, which is kept for backward_weight.
  Tensor gathered_gradient(Pass& pass, const Tensor& grad_y);
  device::MatmulOptions forward_options() const;
  WeightAndBias weights_;
  Split split_;
  Slot x_;
  Slot grad_y_;
};

}  // namespace concordat::model
