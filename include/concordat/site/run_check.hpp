// What a run is before its first step: for `concordat train --check`.
#pragma once

#include <string>

#include "concordat/core/bytes.hpp"
#include "concordat/federation/agreement.hpp"
#include "concordat/site/settings.hpp"
#include "concordat/train/settings.hpp"

namespace concordat::site {

struct RunCheck {
  parallel::MeshShape mesh;
  std::int64_t num_elements = 0;  ///< P
  std::int64_t num_tensors = 0;
  std::int64_t num_blocks = 0;
  std::int64_t num_spans = 0;
  std::int64_t logical_unit = 0;         ///< sequences, in reproducible mode
  std::int64_t logical_groups = 0;       ///< in reproducible mode
  train::MemoryEstimate memory;          ///< of the most loaded rank, on this processor
  std::int64_t outer_bytes = 0;          ///< shared model, moments and error feedback, all ranks
  std::uint64_t upload_bytes = 0;        ///< of masked blocks a round
  std::uint64_t first_upload_bytes = 0;  ///< in round 0
  Digest initial_state;
};

/// @throws Error(parallel.bad_layout | train.bad_settings | model.bad_layout | ...) unless
/// `num_ranks` ranks can train so. Reads nothing.
void check_layout(const SiteSettings& settings, int num_ranks);

/// Computes the initial state in this process, one rank's worth of memory at a time is not needed:
/// the model must fit this process. `terms` gives lanes, blocks and the outer step.
/// @throws Error(train.bad_settings | exact.lane_could_wrap | exact.setting | exact.weight) for
/// what no federation of `terms.minimum` sites could run.
RunCheck check_run(const SiteSettings& settings, const federation::RunAgreement& terms,
                   int num_ranks);

}  // namespace concordat::site
