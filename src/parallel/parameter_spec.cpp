#include "concordat/parallel/parameter_spec.hpp"

#include <algorithm>

namespace concordat::parallel {

namespace {

[[noreturn]] void throw_unfit(const ParameterSpec& spec, std::int64_t units, int tp) {
  throw Error(errors::bad_layout,
              {.what = "tensor parallelism does not fit a parameter",
               .where = spec.name + " " + to_string(spec.shape),
               .found = "tp = " + std::to_string(tp) + " over " + std::to_string(units) +
                        (spec.groups > 0 ? " groups" : " rows") + " of axis " +
                        std::to_string(*spec.shard_axis),
               .expected = spec.groups > 0 ? "a tp that divides the groups or a multiple of them"
                                           : "a tp that divides the rows",
               .remedy = "choose another tp"});
}

std::int64_t axis_length(const ParameterSpec& spec) {
  const auto axis = static_cast<std::size_t>(spec.shard_axis.value_or(0));
  CONCORDAT_REQUIRE(axis < spec.shape.size() || !spec.shard_axis, spec.name);
  return spec.shape.empty() ? 1 : spec.shape[axis];
}

}  // namespace

ShardRange shard_range(const ParameterSpec& spec, int tp, int tp_rank) {
  CONCORDAT_REQUIRE(tp >= 1 && tp_rank >= 0 && tp_rank < tp, spec.name);
  const std::int64_t length = axis_length(spec);
  if (!spec.shard_axis) return {0, length, length, tp_rank == 0};
  if (spec.padded) {
    CONCORDAT_REQUIRE(spec.groups == 0, spec.name + ": padded groups");
    const std::int64_t rows = (length + tp - 1) / tp;
    const std::int64_t begin = std::min(length, rows * tp_rank);
    return {begin, std::min(length, begin + rows) - begin, rows, true};
  }
  const std::int64_t units = spec.groups > 0 ? spec.groups : length;
  CONCORDAT_REQUIRE(length % units == 0, spec.name + ": groups do not divide the axis");
  const std::int64_t unit_rows = length / units;
  if (units % tp == 0) {
    const std::int64_t rows = units / tp * unit_rows;
    return {rows * tp_rank, rows, rows, true};
  }
  if (spec.groups > 0 && tp % units == 0) {
    // Fewer groups than ranks: neighbours share one, and the first of them owns it.
    const std::int64_t sharers = tp / units;
    return {tp_rank / sharers * unit_rows, unit_rows, unit_rows, tp_rank % sharers == 0};
  }
  throw_unfit(spec, units, tp);
}

int sharers(const ParameterSpec& spec, int tp) {
  if (!spec.shard_axis || spec.groups == 0 || spec.groups >= tp || tp % spec.groups != 0) return 1;
  return tp / static_cast<int>(spec.groups);
}

bool holds(const ParameterSpec& spec, const MeshCoords& coords) {
  return std::find(spec.stages.begin(), spec.stages.end(), coords.pp) != spec.stages.end();
}

bool owns(const ParameterSpec& spec, const MeshShape& mesh, const MeshCoords& coords) {
  CONCORDAT_REQUIRE(!spec.stages.empty() && spec.stages.back() < mesh.pp,
                    spec.name + ": stages outside of " + mesh.text());
  return coords.dp == 0 && coords.cp == 0 && coords.pp == spec.stages.front() &&
         shard_range(spec, mesh.tp, coords.tp).owner;
}

Shape local_shape(const ParameterSpec& spec, const MeshShape& mesh, const MeshCoords& coords) {
  CONCORDAT_REQUIRE(holds(spec, coords), spec.name);
  Shape shape = spec.shape;
  if (spec.shard_axis) {
    shape[static_cast<std::size_t>(*spec.shard_axis)] =
        shard_range(spec, mesh.tp, coords.tp).padded;
  }
  return shape;
}

}  // namespace concordat::parallel
