#include "site/initial_weights.hpp"

#include "concordat/comm/agree.hpp"
#include "concordat/model/errors.hpp"
#include "concordat/model/import.hpp"

namespace concordat::site {

void read_initial_weights(const SiteSettings& settings, FileSystem& fs, comm::Communicator& comm,
                          std::span<const parallel::ParameterSpec> specs,
                          const parallel::MeshShape& mesh, const parallel::MeshCoords& coords,
                          std::span<float> master) {
  comm::agreed(comm, [&] {
    model::ForeignModel foreign(fs, settings.local.initial_weights);
    model::require_same_model(settings.model, foreign.model().config, foreign.config_path());
    if (settings.inner.length > foreign.model().max_length) {
      throw Error(model::errors::bad_import,
                  {.what = "training sequences are longer than the imported model's positions",
                   .where = foreign.config_path() + ": max_position_embeddings",
                   .found = "inner.length = " + std::to_string(settings.inner.length),
                   .expected = "at most " + std::to_string(foreign.model().max_length),
                   .remedy = "shorten inner.length"});
    }
    if (comm.rank() == 0) foreign.check_tensors(specs);  // a tied head is compared in full
    foreign.read_shards(specs, mesh, coords, master);
  });
}

}  // namespace concordat::site
