// ParameterSpec: what a model says about one logical tensor; the only source of its layout.
//
//   ParameterSpec q{.name = "model.layers.0.self_attn.q_proj.weight", .shape = {64, 64},
//                   .init = {Initialisation::Kind::normal, 0.02F},
//                   .shard_axis = 0, .groups = num_kv_heads, .decay = true};
//   auto local = local_shape(q, mesh_shape, coords);   // {32, 64} at tp = 2
//
// The weights are [out, in]: column parallel shards axis 0, row parallel axis 1. A logical tensor
// is the same whatever the layout; nothing here depends on tp.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "concordat/core/tensor.hpp"
#include "concordat/parallel/errors.hpp"
#include "concordat/parallel/mesh.hpp"

namespace concordat::parallel {

struct Initialisation {
  enum class Kind { zeros, ones, normal };
  Kind kind = Kind::zeros;
  float stddev = 0.0F;  ///< of a normal one
};

/// A set of mesh axes.
struct AxisSet {
  bool tp = false;
  bool cp = false;
  bool pp = false;
  bool dp = false;
};

struct ParameterSpec {
  std::string name{};
  Shape shape{};  ///< global, logical, without padding
  Initialisation init{};

  /// The axis that tp shards; nullopt: every tp rank holds all of it.
  std::optional<int> shard_axis{};
  /// The shard axis is this many indivisible groups of equal length (KV heads); 0: one a row.
  /// tp divides the groups, or the groups divide tp and neighbouring tp ranks share one.
  std::int64_t groups = 0;
  /// tp need not divide the axis: all shards get the length ceil(n/tp), the last ones padding
  /// that has no canonical index (the vocabulary; logits of padding are -inf). @pre groups == 0.
  bool padded = false;

  /// Axes over which gradients are summed beside the data axes (dp, cp): pp for a tied embedding
  /// that two stages hold, tp for what sequence parallelism computes in parts.
  AxisSet gradient_summed_over{};
  /// The pipeline ranks that hold it, ascending. The first is the owner.
  std::vector<int> stages{0};
  /// Weight decay group: true for matrices, false for norms and biases.
  bool decay = false;
};

/// The part of the shard axis (or of axis 0 when there is none) that a tp rank holds.
struct ShardRange {
  std::int64_t begin = 0;   ///< logical index of the first row held
  std::int64_t count = 0;   ///< logical rows held
  std::int64_t padded = 0;  ///< local rows, padding included; >= count
  bool owner = true;        ///< false: a lower tp rank holds the same rows and contributes them
};

/// @throws Error(parallel.bad_layout) when tp does not fit the spec, with the arithmetic.
ShardRange shard_range(const ParameterSpec& spec, int tp, int tp_rank);

/// How many neighbouring tp ranks hold the same rows, because there are fewer groups than ranks: 1
/// where every rank has its own. Their gradients of these rows are to be summed.
int sharers(const ParameterSpec& spec, int tp);

/// Whether the rank at `coords` holds any of it (its stage).
bool holds(const ParameterSpec& spec, const MeshCoords& coords);
/// Whether the rank contributes its elements: the lowest of its replicas over dp, cp, pp and tp.
bool owns(const ParameterSpec& spec, const MeshShape& mesh, const MeshCoords& coords);
/// The shape of the local shard, padding included. @pre holds(spec, coords).
Shape local_shape(const ParameterSpec& spec, const MeshShape& mesh, const MeshCoords& coords);

}  // namespace concordat::parallel
