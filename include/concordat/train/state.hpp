// HostState: a rank's weights and moments on the host, named tensor by tensor for checkpoints.
//
//   HostState state = trainer.make_state();
//   trainer.read_state(state);
//   for (const StateTensor& part : state.tensors()) {
//     named.push_back(checkpoint::named_tensor(part.name, part.spec, Dtype::f32, part.local,
//                                              mesh.shape(), mesh.coords()));
//   }
//
// Names: "weights/NAME" is the fp32 master; "adamw_m/NAME" and "adamw_v/NAME" are the moments. The
// list is the same on all ranks; a rank whose stage does not hold a tensor has an empty `local`.
#pragma once

#include <string>
#include <vector>

#include "concordat/parallel/parameter_spec.hpp"

namespace concordat::train {

struct StateTensor {
  std::string name;
  parallel::ParameterSpec spec;
  Tensor local;  ///< this rank's shard in host memory: a view of the flat tensors
};

class HostState {
 public:
  HostState(const std::vector<parallel::ParameterSpec>& specs, const parallel::MeshShape& mesh,
            const parallel::MeshCoords& coords);
  /// Views of flat tensors that are there already, [num_local] f32 on the host.
  HostState(const std::vector<parallel::ParameterSpec>& specs, const parallel::MeshShape& mesh,
            const parallel::MeshCoords& coords, Tensor weights, Tensor m, Tensor v);
  const Tensor& weights() const { return weights_; }  ///< [num_local] f32, local flat space
  const Tensor& m() const { return m_; }
  const Tensor& v() const { return v_; }
  const std::vector<StateTensor>& tensors() const { return tensors_; }

 private:
  Tensor weights_, m_, v_;
  std::vector<StateTensor> tensors_;
};

}  // namespace concordat::train
