// A model's tensors: what its family declares, and their initial values.
//
//   auto specs = declare_parameters(config, {.stages = 2});
//   CanonicalSpace space(specs);                              // the same for every layout
//   std::vector<float> master(set.num_local());
//   initialise(set, mesh, seed, master);                      // this rank's shards
//
// Order: table of tokens, of positions, the layers (norm, q, k, v, o, norm, gate, up, down), norm,
// head; a module's weight before its bias, and where several are one product (q, k, v) all their
// weights before all their biases. It is the canonical order and does not depend on the split over
// stages or on tp.
#pragma once

#include <span>
#include <vector>

#include "concordat/model/config.hpp"
#include "concordat/model/parameters.hpp"
#include "concordat/model/pipeline_split.hpp"
#include "concordat/parallel/canonical_space.hpp"

namespace concordat::model {

/// First and last + 1 layer of a part: as equal as can be, earlier parts get the rest.
struct LayerRange {
  int begin = 0;
  int end = 0;
};
/// @throws Error(model.bad_layout) when there are more parts than layers.
LayerRange layers_of_part(int layers, const PipelineSplit& split, int part);

/// @throws Error(model.bad_config | model.bad_layout). A tied table over several stages is held by
/// the first and the last, and its gradient summed over them. Only ParameterSpec::stages and that
/// flag depend on the split.
std::vector<parallel::ParameterSpec> declare_parameters(const ModelConfig& config,
                                                        const PipelineSplit& split = {});

/// @throws Error(model.bad_layout) unless tp divides heads and ffn and divides the key-value heads
/// or is a multiple of them, or when there are fewer layers than pp stages of `chunks` parts each.
void check_layout(const ModelConfig& config, const parallel::MeshShape& mesh, int chunks = 1);

/// Initial values of this rank's shards in local flat order; padding is 0. An element's value is a
/// function of (seed, tensor, index in the tensor) alone, the same in every layout.
void initialise(const ParameterSet& set, const parallel::ProcessMesh& mesh, std::uint64_t seed,
                std::span<float> master);

/// The same values for the canonical elements [begin, begin + out.size()), whoever holds them: the
/// initial state block by block, without a model in memory. Pure. @pre the range lies in `space`.
void initialise_range(std::span<const parallel::ParameterSpec> specs,
                      const parallel::CanonicalSpace& space, std::uint64_t seed, std::int64_t begin,
                      std::span<float> out);

}  // namespace concordat::model
