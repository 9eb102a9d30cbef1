#include "concordat/model/config.hpp"

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

void LlamaConfig::validate() const {
  need(vocab > 1, "model.vocab", std::to_string(vocab), "at least 2");
  need(width > 0, "model.width", std::to_string(width), "at least 1");
  need(layers > 0, "model.layers", std::to_string(layers), "at least 1");
  need(ffn > 0, "model.ffn", std::to_string(ffn), "at least 1");
  need(heads > 0, "model.heads", std::to_string(heads), "at least 1");
  need(width % heads == 0, "model.heads", std::to_string(heads), "a divisor of model.width");
  need(head_dim() % 2 == 0, "model.heads", std::to_string(heads),
       "an even width per head, which rotary positions need");
  need(kv_heads > 0 && heads % kv_heads == 0, "model.kv_heads", std::to_string(kv_heads),
       "a divisor of model.heads");
  need(norm_eps > 0.0F, "model.norm_eps", std::to_string(norm_eps), "above 0");
  need(rope_base > 1.0F, "model.rope_base", std::to_string(rope_base), "above 1");
  need(init_stddev > 0.0F, "model.init_stddev", std::to_string(init_stddev), "above 0");
}

std::int64_t LlamaConfig::num_parameters() const {
  const std::int64_t attention = 2 * width * width + 2 * width * kv_width();
  const std::int64_t block = attention + 3 * width * ffn + 2 * width;
  return vocab * width * (tied ? 1 : 2) + layers * block + width;
}

double flops_per_token(const LlamaConfig& config, GlobalLength length) {
  const auto look_up = config.tied ? 0 : config.vocab * config.width;
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
