#include "concordat/model/config.hpp"

#include <algorithm>
#include <string>

#include "concordat/model/errors.hpp"

namespace concordat::model {

namespace {
void need(bool good, const char* key, const std::string& found, const char* expected) {
  if (good) return;
  throw Error(errors::bad_config, {.what = "the model cannot be built",
                                   .where = key,
                                   .found = found,
                                   .expected = expected,
                                   .remedy = "correct the model's section of the configuration"});
}
}  // namespace

std::string_view name_of(Family family) { return family == Family::llama ? "llama" : "gpt2"; }

Family family_named(std::string_view name) {
  need(name == "llama" || name == "gpt2", "model.family", std::string(name), "llama or gpt2");
  return name == "llama" ? Family::llama : Family::gpt2;
}

Traits traits_of(Family family) {
  if (family == Family::llama) return {.gated = true};
  return {.layer_norm = true, .biases = true, .learned_positions = true};
}

void ModelConfig::validate() const {
  need(vocab > 1, "model.vocab", std::to_string(vocab), "at least 2");
  need(width > 0, "model.width", std::to_string(width), "at least 1");
  need(layers > 0, "model.layers", std::to_string(layers), "at least 1");
  need(ffn > 0, "model.ffn", std::to_string(ffn), "at least 1");
  need(heads > 0, "model.heads", std::to_string(heads), "at least 1");
  need(width % heads == 0, "model.heads", std::to_string(heads), "a divisor of model.width");
  need(norm_eps > 0.0F, "model.norm_eps", std::to_string(norm_eps), "above 0");
  need(init_stddev > 0.0F, "model.init_stddev", std::to_string(init_stddev), "above 0");
  if (traits().learned_positions) {
    need(positions > 0, "model.positions", std::to_string(positions), "at least 1");
    need(kv_heads == heads, "model.kv_heads", std::to_string(kv_heads),
         "model.heads: gpt2 does not share key and value heads");
    return;
  }
  need(positions == 0, "model.positions", std::to_string(positions),
       "none: rotary positions have no table");
  need(head_dim() % 2 == 0, "model.heads", std::to_string(heads),
       "an even width per head, which rotary positions need");
  need(kv_heads > 0 && heads % kv_heads == 0, "model.kv_heads", std::to_string(kv_heads),
       "a divisor of model.heads");
  need(rope_base > 1.0F, "model.rope_base", std::to_string(rope_base), "above 1");
}

void ModelConfig::require_length(GlobalLength length) const {
  if (!traits().learned_positions || length.value() <= positions) return;
  throw Error(errors::bad_config,
              {.what = "sequences are longer than the model's table of positions",
               .where = "inner.length",
               .found = std::to_string(length.value()),
               .expected = "at most model.positions = " + std::to_string(positions),
               .remedy = "shorten inner.length, or give the model more positions"});
}

std::int64_t block_parameters(const ModelConfig& config, int tp) {
  const Traits traits = config.traits();
  const std::int64_t width = config.width;
  // With more ranks than key and value heads, a rank holds one whole head.
  const std::int64_t kv_width = config.head_dim() * std::max(1, config.kv_heads / tp);
  const std::int64_t inner = (traits.gated ? 2 : 1) * (config.ffn / tp);
  const std::int64_t sharded_biases = width / tp + 2 * kv_width + inner;
  return 2 * width * width / tp + 2 * width * kv_width + width * inner + width * config.ffn / tp +
         (traits.layer_norm ? 4 : 2) * width + (traits.biases ? sharded_biases + 2 * width : 0);
}

std::int64_t ModelConfig::num_parameters() const {
  return vocab * width * (tied ? 1 : 2) + positions * width + layers * block_parameters(*this) +
         (traits().layer_norm ? 2 : 1) * width;
}

double flops_per_token(const ModelConfig& config, GlobalLength length) {
  const auto look_up =
      (config.tied ? 0 : config.vocab * config.width) + config.positions * config.width;
  const auto in_products = static_cast<double>(config.num_parameters() - look_up);
  return 6.0 * in_products +
         12.0 * config.layers * static_cast<double>(config.width * length.value());
}

LocalLength local_length(GlobalLength length, int cp) {
  if (cp <= 0 || length.value() % cp != 0) {
    throw Error(errors::bad_layout, {.what = "context parallel ranks do not divide the sequence",
                                     .where = "layout.cp",
                                     .found = std::to_string(cp),
                                     .expected = "a divisor of " + std::to_string(length.value()),
                                     .remedy = "choose another cp or sequence length"});
  }
  return LocalLength(length.value() / cp);
}

SequenceRuns sequence_runs(GlobalLength length, int cp, int rank) {
  const std::int64_t local = local_length(length, cp).value();
  CONCORDAT_REQUIRE(rank >= 0 && rank < cp, std::to_string(rank) + " of " + std::to_string(cp));
  if (cp == 1 || local % 2 != 0) return {.length = local, .begins = {rank * local}};
  const std::int64_t half = local / 2;
  return {.length = half, .begins = {rank * half, (2 * cp - 1 - rank) * half}};
}

}  // namespace concordat::model
