#include "concordat/model/llama.hpp"

#include <algorithm>
#include <cmath>

#include "concordat/exact/normal.hpp"
#include "concordat/model/errors.hpp"
#include "concordat/model/names.hpp"

namespace concordat::model {

namespace {

using parallel::Initialisation;
using parallel::ParameterSpec;

ParameterSpec norm(std::string name, std::int64_t width, int stage) {
  return {.name = std::move(name),
          .shape = {width},
          .init = {.kind = Initialisation::Kind::ones},
          .stages = {stage}};
}

ParameterSpec matrix(std::string name, Shape shape, int shard_axis, std::int64_t groups,
                     float stddev, int stage) {
  return {.name = std::move(name),
          .shape = std::move(shape),
          .init = {.kind = Initialisation::Kind::normal, .stddev = stddev},
          .shard_axis = shard_axis,
          .groups = groups,
          .stages = {stage},
          .decay = true};
}

ParameterSpec table(std::string_view name, const LlamaConfig& config, int stage) {
  ParameterSpec spec =
      matrix(std::string(name), {config.vocab, config.width}, 0, 0, config.init_stddev, stage);
  spec.padded = true;
  return spec;
}

void declare_layer(std::vector<ParameterSpec>& specs, const LlamaConfig& config, int layer,
                   int stage) {
  const auto named = [&](std::string_view name) { return names::in_layer(layer, name); };
  const std::int64_t width = config.width;
  const float stddev = config.init_stddev;
  // What adds to the residual stream starts smaller: its variance grows with the layers.
  const float into_residual = stddev / std::sqrt(2.0F * static_cast<float>(config.layers));
  specs.push_back(norm(named(names::attention_norm), width, stage));
  specs.push_back(matrix(named(names::q_proj), {width, width}, 0, config.heads, stddev, stage));
  for (const auto name : {names::k_proj, names::v_proj}) {
    specs.push_back(
        matrix(named(name), {config.kv_width(), width}, 0, config.kv_heads, stddev, stage));
  }
  specs.push_back(
      matrix(named(names::o_proj), {width, width}, 1, config.heads, into_residual, stage));
  specs.push_back(norm(named(names::mlp_norm), width, stage));
  for (const auto name : {names::gate_proj, names::up_proj}) {
    specs.push_back(matrix(named(name), {config.ffn, width}, 0, 0, stddev, stage));
  }
  specs.push_back(matrix(named(names::down_proj), {width, config.ffn}, 1, 0, into_residual, stage));
}

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

std::vector<ParameterSpec> declare_parameters(const LlamaConfig& config,
                                              const PipelineSplit& split) {
  config.validate();
  std::vector<ParameterSpec> specs;
  specs.push_back(table(names::embed_tokens, config, 0));
  if (config.tied && split.stages > 1) {
    // The first stage looks tokens up, the last one projects on the same table.
    specs.back().stages = {0, split.stages - 1};
    specs.back().gradient_summed_over.pp = true;
  }
  for (int part = 0; part < split.num_parts(); ++part) {
    const LayerRange range = layers_of_part(config.layers, split, part);
    for (int layer = range.begin; layer < range.end; ++layer) {
      declare_layer(specs, config, layer, split.stage_of(part));
    }
  }
  const int last = split.stages - 1;
  specs.push_back(norm(std::string(names::final_norm), config.width, last));
  if (!config.tied) specs.push_back(table(names::lm_head, config, last));
  return specs;
}

void check_layout(const LlamaConfig& config, const parallel::MeshShape& mesh, int chunks) {
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
