// Initial weights from a Hugging Face folder (train.initial_weights): each site has its own copy,
// and the run agreement holds the digest of the state that they give.
#pragma once

#include <span>

#include "concordat/comm/communicator.hpp"
#include "concordat/core/file.hpp"
#include "concordat/parallel/parameter_spec.hpp"
#include "concordat/site/settings.hpp"

namespace concordat::site {

/// Fills this rank's shards in local flat space. Collective over `comm`: the folder is checked
/// against the settings' model, then every rank reads its own segments.
/// @throws Error(model.bad_import | bad_weights | unsupported | not_found) on all ranks.
void read_initial_weights(const SiteSettings& settings, FileSystem& fs, comm::Communicator& comm,
                          std::span<const parallel::ParameterSpec> specs,
                          const parallel::MeshShape& mesh, const parallel::MeshCoords& coords,
                          std::span<float> master);

}  // namespace concordat::site
