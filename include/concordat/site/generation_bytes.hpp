// How large a generation of a run is, for the doctor and for the job's own estimate.
#pragma once

#include <cstdint>

#include "concordat/model/declaration.hpp"

namespace concordat::site {

/// Weights and both moments in fp32, and `other_bytes` that the run keeps besides: in a federation
/// the shared model, its moments and the feedback.
std::uint64_t generation_bytes(const model::ModelConfig& model, std::uint64_t other_bytes);

}  // namespace concordat::site
