// Layer: forward, backward_input and backward_weight as separate calls, and the Pass they share.
//
//   Tensor y = layer.forward(pass, x);                // saves what the backward calls need
//   Tensor grad_x = layer.backward_input(pass, grad_y);
//   layer.backward_weight(pass);                      // any time later: adds to the gradients
//
// A schedule may run other micro-batches between the three calls, so nothing that one call leaves
// for another may stand in the layer: it goes into the Pass's SavedTable. backward_input never
// writes to grad_y, which backward_weight still needs.
//
// Threads: one host thread per stage. Collective over the mesh axes that a layer names.
#pragma once

#include "concordat/device/exec.hpp"
#include "concordat/model/gradient_groups.hpp"
#include "concordat/model/length.hpp"
#include "concordat/model/saved.hpp"
#include "concordat/parallel/mesh.hpp"

namespace concordat::model {

/// One micro-batch as tensors. Positions are given, never counted off.
struct MicroBatchTensors {
  Tensor tokens;     ///< [rows] i32
  Tensor targets;    ///< [rows] i32; negative: ignored
  Tensor positions;  ///< [rows] i32, position of each row inside its whole sequence
  TokenLayout layout{};
};

/// What backward makes again instead of keeping it from forward to backward. The bits are the same.
enum class Recompute {
  none,
  attention,  ///< norms, activations and attention; the products' outputs are kept
  block,      ///< everything: a block keeps its input
};

/// What a layer may touch during one call for one micro-batch.
struct Pass {
  device::Exec& exec;
  parallel::ProcessMesh& mesh;
  BufferPool& pool;
  SavedTable& saved;
  const MicroBatchTensors& batch;
  bool keeps = true;  ///< false: no backward follows, nothing is saved
  /// Sequence parallelism: between layers an activation is this tp rank's part of the rows.
  bool rows_sharded = false;
  /// Beside the ops, for what has to wait for other ranks. Null without context parallelism.
  Stream* messages = nullptr;
  bool remakes = false;  ///< Recompute::attention: inputs of products are not kept
  bool last = false;     ///< backward_weight of the step's last micro-batch: gradients become ready
  GroupPlace place{};    ///< of the micro-batch's gradients

  /// A new [rows, columns] f32 activation.
  Tensor take(std::int64_t rows, std::int64_t columns) {
    return pool.take(Dtype::f32, {rows, columns});
  }
  /// The same in a format that the back end multiplies in, for what only products read.
  Tensor take_operand(Dtype dtype, std::int64_t rows, std::int64_t columns) {
    return pool.take(exec.backend.multiplies(dtype) ? dtype : Dtype::f32, {rows, columns});
  }
  void save(Slot slot, const Tensor& tensor, int uses) {
    if (keeps) saved.save(slot, tensor, uses);
  }
};

class Layer {
 public:
  virtual ~Layer() = default;
  Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;
  /// x, y: [rows, C] f32, or a part of the rows (Pass::rows_sharded). An embedding is given an
  /// empty x and reads the pass's tokens.
  virtual Tensor forward(Pass& pass, const Tensor& x) = 0;
  /// Gradient of x from that of y; empty for an embedding.
  virtual Tensor backward_input(Pass& pass, const Tensor& grad_y) = 0;
  virtual void backward_weight(Pass& pass) = 0;
};

}  // namespace concordat::model
