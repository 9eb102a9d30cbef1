#include "concordat/site/run_check.hpp"

#include "concordat/device/exec.hpp"
#include "concordat/exact/lanes.hpp"
#include "concordat/model/declaration.hpp"
#include "concordat/site/ranks_exchange.hpp"
#include "concordat/train/step_plan.hpp"
#include "site/engine.hpp"
#include "site/initial_weights.hpp"

namespace concordat::site {
namespace {

/// What an agreement with the fewest sites would be refused for. More sites need wider lanes yet:
/// `concordat roster agreement` knows their number and checks again.
void check_exchange(const federation::RunAgreement& terms) {
  exact::check_lane(terms.minimum, terms.first_round.bits, terms.first_round.lane,
                    "exchange.first_bits, exchange.first_lane");
  exact::check_lane(terms.minimum, terms.later_rounds.bits, terms.later_rounds.lane);
  exact::check_weight_cap(terms.minimum, terms.weight_cap);
  exact::check_settings(terms.outer);
  exact::check_rule(terms.scales);
}

}  // namespace

void check_layout(const SiteSettings& settings, int num_ranks) {
  train_settings(settings).validate(mesh_of(settings.layout, num_ranks));
}

RunCheck check_run(const SiteSettings& settings, const federation::RunAgreement& terms,
                   int num_ranks) {
  RunCheck check;
  check.mesh = mesh_of(settings.layout, num_ranks);
  train::TrainSettings t = train_settings(settings);
  const auto backend = device::make_backend(settings.local.device, {.tf32 = settings.local.tf32});
  t.validate(check.mesh, *backend);
  check_exchange(terms);
  check.memory = job_memory(t, check.mesh, *backend);
  if (t.reproducible) {
    check.logical_unit = train::logical_unit(t);
    check.logical_groups = train::num_logical_groups(t);
  }

  auto comm = comm::self_communicator();
  parallel::ProcessMesh mesh(*comm, {});
  device::Session session("reference");
  auto specs = model::declare_parameters(t.model);
  parallel::CanonicalSpace space(specs);
  auto layout = parallel::layout_of(specs, space, mesh.shape(), mesh.coords());
  auto k = static_cast<int>(terms.block_log2);
  check.num_elements = space.num_elements();
  check.num_tensors = static_cast<std::int64_t>(space.tensors().size());
  check.num_blocks = space.num_blocks(k);
  for (std::int64_t block = 0; block < check.num_blocks; ++block) {
    check.num_spans += static_cast<std::int64_t>(parallel::spans_of_block(space, k, block).size());
  }
  check.outer_bytes = space.num_elements() * 4 * (2 + exact::num_moments(terms.outer.kind));
  auto elements = static_cast<std::uint64_t>(space.num_elements());
  check.first_upload_bytes = elements * exact::lane_bytes(terms.first_round.lane) + 4;
  check.upload_bytes = elements * exact::lane_bytes(terms.later_rounds.lane) + 4;

  model::ParameterSet parameters(session.exec(), specs, mesh);
  Tensor weights = host_tensor(Dtype::f32, {layout.num_local});
  if (settings.local.initial_weights.empty()) {
    model::initialise(parameters, mesh, t.seed, weights.span<float>());
  } else {
    read_initial_weights(settings, posix_files(), *comm, specs, mesh.shape(), mesh.coords(),
                         weights.span<float>());
  }
  check.initial_state = initial_state_digest(*comm, terms_of(terms), space, layout, weights);
  return check;
}

}  // namespace concordat::site
