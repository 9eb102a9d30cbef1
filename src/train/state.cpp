#include "concordat/train/state.hpp"

namespace concordat::train {

namespace {

Tensor flat_for(const std::vector<parallel::ParameterSpec>& specs, const parallel::MeshShape& mesh,
                const parallel::MeshCoords& coords) {
  std::int64_t num_local = 0;
  for (const auto& spec : specs) {
    if (parallel::holds(spec, coords)) {
      num_local += num_elements(parallel::local_shape(spec, mesh, coords));
    }
  }
  return host_tensor(Dtype::f32, {num_local});
}

}  // namespace

HostState::HostState(const std::vector<parallel::ParameterSpec>& specs,
                     const parallel::MeshShape& mesh, const parallel::MeshCoords& coords)
    : HostState(specs, mesh, coords, flat_for(specs, mesh, coords), flat_for(specs, mesh, coords),
                flat_for(specs, mesh, coords)) {}

HostState::HostState(const std::vector<parallel::ParameterSpec>& specs,
                     const parallel::MeshShape& mesh, const parallel::MeshCoords& coords,
                     Tensor weights, Tensor m, Tensor v)
    : weights_(std::move(weights)), m_(std::move(m)), v_(std::move(v)) {
  const std::pair<const char*, const Tensor&> groups[] = {
      {"weights/", weights_}, {"adamw_m/", m_}, {"adamw_v/", v_}};
  for (const auto& [group, flat] : groups) {
    std::int64_t begin = 0;
    for (const auto& spec : specs) {
      StateTensor part{.name = group + spec.name, .spec = spec, .local = {}};
      if (parallel::holds(spec, coords)) {
        const Shape shape = parallel::local_shape(spec, mesh, coords);
        const std::int64_t count = num_elements(shape);
        part.local = flat.slice(0, begin, count).reshape(shape);
        begin += count;
      }
      tensors_.push_back(std::move(part));
    }
  }
}

}  // namespace concordat::train
