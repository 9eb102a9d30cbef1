#include "concordat/train/step_plan.hpp"

#include <bit>
#include <numeric>

#include "concordat/train/errors.hpp"

namespace concordat::train {

namespace {
constexpr std::int64_t most_groups_unasked = 4;
// Smaller units cost products their speed; a larger one only shuts small micro-batches out.
constexpr std::int64_t most_tokens_unasked = 512;

[[noreturn]] void refuse(const char* what, const char* key, std::string found, std::string expected,
                         std::string remedy) {
  throw Error(errors::bad_settings, {.what = what,
                                     .where = key,
                                     .found = std::move(found),
                                     .expected = std::move(expected),
                                     .remedy = std::move(remedy)});
}

std::int64_t num_units(const TrainSettings& settings) {
  return settings.batch / logical_unit(settings);
}

bool is_power_of_two(std::int64_t n) { return std::has_single_bit(static_cast<std::uint64_t>(n)); }
}  // namespace

std::int64_t logical_unit(const TrainSettings& settings) {
  if (settings.logical_batch != 0) return settings.logical_batch;
  const std::int64_t groups = settings.logical_groups > 0
                                  ? settings.logical_groups
                                  : std::gcd(settings.batch, most_groups_unasked);
  std::int64_t unit = 1;
  while (settings.batch % (2 * unit * groups) == 0 &&
         2 * unit * settings.length.value() <= most_tokens_unasked) {
    unit *= 2;
  }
  return unit;
}

std::int64_t num_logical_groups(const TrainSettings& settings) {
  return settings.logical_groups > 0 ? settings.logical_groups
                                     : std::gcd(num_units(settings), most_groups_unasked);
}

void validate_reproducible(const TrainSettings& settings, const parallel::MeshShape& mesh) {
  const auto text = [](std::int64_t value) { return std::to_string(value); };
  if (!settings.reproducible) {
    if (settings.logical_batch == 0 && settings.logical_groups == 0) return;
    refuse("logical micro-batches without reproducible mode", "train.reproducible", "false",
           "true where train.logical_batch or train.logical_groups is set",
           "set train.reproducible = true, or leave the other two out");
  }
  const std::int64_t logical = logical_unit(settings);
  if (logical < 1 || settings.batch % logical != 0) {
    refuse("a step is not made of whole logical micro-batches", "train.logical_batch",
           text(logical) + " sequences", "a divisor of train.batch = " + text(settings.batch),
           "correct train.logical_batch; 1 always divides, 0 chooses");
  }
  if (settings.micro_batch % logical != 0) {
    refuse("a micro-batch is not made of whole logical micro-batches", "train.micro_batch",
           text(settings.micro_batch) + " sequences",
           "a multiple of " + text(logical) +
               (settings.logical_batch == 0 ? " (chosen from inner.length and train.batch)"
                                            : " = train.logical_batch"),
           "correct train.micro_batch, or set train.logical_batch to a divisor of it, at all "
           "layouts whose bits are to be equal");
  }
  const std::int64_t units = num_units(settings);
  const std::int64_t groups = num_logical_groups(settings);
  if (settings.logical_groups < 0 || units % groups != 0) {
    refuse("the logical micro-batches of a step cannot be dealt out evenly to the groups",
           "train.logical_groups", text(settings.logical_groups),
           "a divisor of train.batch / train.logical_batch = " + text(units),
           "correct train.logical_groups; 0 chooses");
  }
  if (groups % mesh.dp != 0 || (mesh.dp > 1 && !is_power_of_two(groups / mesh.dp))) {
    refuse("data parallel replicas do not each hold a branch of the tree of gradient groups",
           "train.logical_groups",
           text(groups) + " groups for dp = " + text(mesh.dp) +
               (settings.logical_groups == 0 ? " (chosen from the batch)" : ""),
           "dp times a power of two",
           "set train.logical_groups = " + text(mesh.dp) +
               " or that times a power of two, at all layouts whose bits are to be equal, or start "
               "another number of ranks");
  }
  if (mesh.cp > 1 && !is_power_of_two(mesh.dp)) {
    refuse("with context parallel ranks the tree of sums must end a branch with the replicas",
           "layout.cp", "cp = " + text(mesh.cp) + " with dp = " + text(mesh.dp),
           "dp = a power of two",
           "set layout.cp = 1, start ranks for another dp, or set train.reproducible = false");
  }
}

StepPlan plan_step(const TrainSettings& settings, const parallel::MeshShape& mesh, int replica) {
  StepPlan plan{.share = share_of(settings.batch, mesh.dp, replica),
                .unit = settings.micro_batch,
                .num_groups = mesh.dp,
                .first_group = replica};
  if (!settings.reproducible) return plan;
  const auto mine = static_cast<int>(num_logical_groups(settings) / mesh.dp);
  plan.unit = logical_unit(settings);
  plan.units_per_micro_batch = static_cast<int>(settings.micro_batch / plan.unit);
  plan.num_groups = mine * mesh.dp;
  plan.first_group = mine * replica;
  plan.groups = model::GradientGroups(static_cast<int>(plan.share.count / plan.unit), mine);
  return plan;
}

}  // namespace concordat::train
