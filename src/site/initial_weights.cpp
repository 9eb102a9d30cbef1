#include "site/initial_weights.hpp"

#include <memory>

#include "concordat/comm/agree.hpp"
#include "concordat/core/clock.hpp"
#include "concordat/core/log.hpp"
#include "concordat/model/errors.hpp"
#include "concordat/model/import.hpp"
#include "concordat/observe/progress.hpp"

namespace concordat::site {
namespace {

/// Rank 0 says how far it is, each GiB of its own shards.
model::ReadProgress progress_of(const comm::Communicator& comm, std::size_t num_elements) {
  if (comm.rank() != 0) return {};
  constexpr std::int64_t line_every = std::int64_t{1} << 28;
  auto progress = std::make_shared<observe::Progress>(
      system_clock(),
      observe::ProgressOptions{
          .what = "weight", .unit = "weights", .total = static_cast<std::int64_t>(num_elements)});
  return [progress, next = line_every](std::int64_t done) mutable {
    if (done < next) return;
    next = done + line_every;
    progress->advance(done, done);
    log::info(progress->line("read"));
  };
}

}  // namespace

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
    if (comm.rank() == 0) {
      foreign.check_tensors(specs);  // a tied head is compared in full
      if (foreign.model().dropout > 0.0F) {
        log::info(foreign.config_path() + " names a dropout of up to " +
                  std::to_string(foreign.model().dropout) + "; training here applies none");
      }
    }
    foreign.read_shards(specs, mesh, coords, master, progress_of(comm, master.size()));
  });
}

}  // namespace concordat::site
