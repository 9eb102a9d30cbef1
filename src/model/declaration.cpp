#include "concordat/model/declaration.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "concordat/exact/normal.hpp"
#include "concordat/model/errors.hpp"
#include "concordat/model/names.hpp"

namespace concordat::model {

namespace {

using parallel::Initialisation;
using parallel::ParameterSpec;

/// Collects the specs of one model in declared order.
class Declared {
 public:
  explicit Declared(const ModelConfig& config)
      : config_(config), traits_(config.traits()), names_(names_of(config.family)) {}

  ParameterSpec& matrix(std::string name, Shape shape, std::optional<int> shard_axis,
                        std::int64_t groups, float stddev, int stage) {
    specs_.push_back({.name = std::move(name),
                      .shape = std::move(shape),
                      .init = {.kind = Initialisation::Kind::normal, .stddev = stddev},
                      .shard_axis = shard_axis,
                      .groups = groups,
                      .stages = {stage},
                      .decay = true});
    return specs_.back();
  }

  ParameterSpec& table_of_tokens(std::string_view module, int stage) {
    ParameterSpec& spec =
        matrix(weight_of(module), {config_.vocab, config_.width}, 0, 0, config_.init_stddev, stage);
    spec.padded = true;
    return spec;
  }

  void norm(std::string_view module, int stage) {
    specs_.push_back({.name = weight_of(module),
                      .shape = {config_.width},
                      .init = {.kind = Initialisation::Kind::ones},
                      .stages = {stage}});
    if (traits_.layer_norm) bias(module, config_.width, std::nullopt, 0, stage);
  }

  void layer(int layer, int stage) {
    const auto named = [&](std::string_view module) { return in_layer(names_, layer, module); };
    const std::int64_t width = config_.width;
    const std::int64_t heads = config_.heads;
    const float stddev = config_.init_stddev;
    // What adds to the residual stream starts smaller: its variance grows with the layers.
    const float into_residual = stddev / std::sqrt(2.0F * static_cast<float>(config_.layers));
    const std::array<Columns, 3> qkv{{{named(names_.query), width, heads},
                                      {named(names_.key), config_.kv_width(), config_.kv_heads},
                                      {named(names_.value), config_.kv_width(), config_.kv_heads}}};
    norm(named(names_.attention_norm), stage);
    columns(qkv, stage);
    rows(named(names_.output), width, heads, into_residual, stage);
    norm(named(names_.mlp_norm), stage);
    const std::array<Columns, 2> up{
        {{traits_.gated ? named(names_.gate) : "", config_.ffn}, {named(names_.up), config_.ffn}}};
    columns(std::span(up).subspan(traits_.gated ? 0 : 1), stage);
    rows(named(names_.down), config_.ffn, 0, into_residual, stage);
  }

  std::vector<ParameterSpec> take() { return std::move(specs_); }

 private:
  /// A column-parallel module: [rows, width], sharded by rows or by groups of them.
  struct Columns {
    std::string module;
    std::int64_t rows = 0;
    std::int64_t groups = 0;
  };

  void bias(std::string_view module, std::int64_t length, std::optional<int> shard_axis,
            std::int64_t groups, int stage) {
    specs_.push_back({.name = bias_of(module),
                      .shape = {length},
                      .init = {.kind = Initialisation::Kind::zeros},
                      .shard_axis = shard_axis,
                      .groups = groups,
                      .stages = {stage}});
  }

  /// Modules that are one product.
  void columns(std::span<const Columns> modules, int stage) {
    for (const Columns& each : modules) {
      matrix(weight_of(each.module), {each.rows, config_.width}, 0, each.groups,
             config_.init_stddev, stage);
    }
    if (!traits_.biases) return;
    for (const Columns& each : modules) bias(each.module, each.rows, 0, each.groups, stage);
  }

  /// A row-parallel module: its bias is added once, behind the sum over tp.
  void rows(const std::string& module, std::int64_t depth, std::int64_t groups, float stddev,
            int stage) {
    matrix(weight_of(module), {config_.width, depth}, 1, groups, stddev, stage);
    if (traits_.biases) bias(module, config_.width, std::nullopt, 0, stage);
  }

  const ModelConfig& config_;
  Traits traits_;
  const Names& names_;
  std::vector<ParameterSpec> specs_;
};

[[noreturn]] void refuse(std::string what, std::string where, std::string found,
                         std::string expected) {
  throw Error(errors::bad_layout, {.what = std::move(what),
                                   .where = std::move(where),
                                   .found = std::move(found),
                                   .expected = std::move(expected),
                                   .remedy = "choose another layout in the [layout] section"});
}

/// Values of `spec`, the `ordinal`-th declared tensor, from its element `first` on.
void fill_values(const ParameterSpec& spec, std::size_t ordinal, std::uint64_t seed,
                 std::int64_t first, std::span<float> out) {
  switch (spec.init.kind) {
    case Initialisation::Kind::zeros:
      std::fill(out.begin(), out.end(), 0.0F);
      return;
    case Initialisation::Kind::ones:
      std::fill(out.begin(), out.end(), 1.0F);
      return;
    case Initialisation::Kind::normal:
      exact::initialise_normal(seed, static_cast<std::uint32_t>(ordinal),
                               static_cast<std::uint64_t>(first), out, spec.init.stddev);
      return;
  }
}

}  // namespace

LayerRange layers_of_part(int layers, const PipelineSplit& split, int part) {
  const int parts = split.num_parts();
  if (parts > layers) {
    refuse("there are more parts of the pipeline than layers",
           split.chunks == 1 ? "layout.pp" : "layout.pp and train.chunks",
           std::to_string(split.stages) + " stages of " + std::to_string(split.chunks) +
               (split.chunks == 1 ? " chunk" : " chunks"),
           "at most " + std::to_string(layers) + " parts, one for each layer");
  }
  const int each = layers / parts;
  const int more = layers % parts;
  const int begin = part * each + std::min(part, more);
  return {begin, begin + each + (part < more ? 1 : 0)};
}

std::vector<ParameterSpec> declare_parameters(const ModelConfig& config,
                                              const PipelineSplit& split) {
  config.validate();
  const Names& names = names_of(config.family);
  const int last = split.stages - 1;
  Declared declared(config);
  ParameterSpec& tokens = declared.table_of_tokens(names.tokens, 0);
  if (config.tied && split.stages > 1) {
    // The first stage looks tokens up, the last one projects on the same table.
    tokens.stages = {0, last};
    tokens.gradient_summed_over.pp = true;
  }
  if (config.traits().learned_positions) {
    declared.matrix(weight_of(names.positions), {config.positions, config.width}, std::nullopt, 0,
                    config.init_stddev, 0);
  }
  for (int part = 0; part < split.num_parts(); ++part) {
    const LayerRange range = layers_of_part(config.layers, split, part);
    for (int layer = range.begin; layer < range.end; ++layer) {
      declared.layer(layer, split.stage_of(part));
    }
  }
  declared.norm(names.final_norm, last);
  if (!config.tied) declared.table_of_tokens(names.head, last);
  return declared.take();
}

void check_layout(const ModelConfig& config, const parallel::MeshShape& mesh, int chunks) {
  const auto divides = [&](std::int64_t count, const char* key) {
    if (count % mesh.tp == 0) return;
    refuse("tensor parallel ranks do not divide the model", "layout.tp", std::to_string(mesh.tp),
           "a divisor of " + std::string(key) + " = " + std::to_string(count));
  };
  divides(config.heads, "model.heads");
  divides(config.ffn, "model.ffn");
  if (config.kv_heads % mesh.tp != 0 && mesh.tp % config.kv_heads != 0) {
    refuse("tensor parallel ranks can neither share out nor share the key and value heads",
           "layout.tp", std::to_string(mesh.tp),
           "a divisor or a multiple of model.kv_heads = " + std::to_string(config.kv_heads));
  }
  layers_of_part(config.layers, {.stages = mesh.pp, .chunks = chunks}, 0);
}

void initialise(const ParameterSet& set, const parallel::ProcessMesh& mesh, std::uint64_t seed,
                std::span<float> master) {
  CONCORDAT_REQUIRE(static_cast<std::int64_t>(master.size()) == set.num_local(),
                    std::to_string(master.size()) + " for " + std::to_string(set.num_local()));
  std::fill(master.begin(), master.end(), 0.0F);
  for (const LocalTensor& tensor : set.tensors()) {
    parallel::each_run(tensor.spec, mesh.shape(), mesh.coords(),
                       [&](std::int64_t first, std::int64_t local, std::int64_t run) {
                         fill_values(tensor.spec, static_cast<std::size_t>(tensor.ordinal), seed,
                                     first,
                                     master.subspan(static_cast<std::size_t>(tensor.begin + local),
                                                    static_cast<std::size_t>(run)));
                       });
  }
}

void initialise_range(std::span<const ParameterSpec> specs, const parallel::CanonicalSpace& space,
                      std::uint64_t seed, std::int64_t begin, std::span<float> out) {
  CONCORDAT_REQUIRE(specs.size() == space.tensors().size(), std::to_string(specs.size()));
  parallel::each_tensor(space, begin, out,
                        [&](std::size_t i, std::int64_t first, std::span<float> part) {
                          fill_values(specs[i], i, seed, first, part);
                        });
}

}  // namespace concordat::model
