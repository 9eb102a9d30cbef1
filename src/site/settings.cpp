#include "concordat/site/settings.hpp"

#include "concordat/core/error.hpp"
#include "concordat/parallel/errors.hpp"

namespace concordat::site {

parallel::MeshShape mesh_of(const LayoutSettings& layout, int num_ranks) {
  const int model_ranks = layout.model_ranks();
  if (num_ranks % model_ranks != 0) {
    throw Error(parallel::errors::bad_layout,
                {.what = "the layout does not divide the ranks of the job",
                 .where = "[layout] of the site's configuration",
                 .found = std::to_string(num_ranks) + " ranks for tp " + std::to_string(layout.tp) +
                          " x pp " + std::to_string(layout.pp) + " x cp " +
                          std::to_string(layout.cp) + " = " + std::to_string(model_ranks),
                 .expected = "a multiple of " + std::to_string(model_ranks) +
                             " ranks, or tp x pp x cp that divides " + std::to_string(num_ranks),
                 .remedy = "start the job with such a number of ranks, or change the layout"});
  }
  return {.dp = num_ranks / model_ranks, .pp = layout.pp, .cp = layout.cp, .tp = layout.tp};
}

}  // namespace concordat::site
