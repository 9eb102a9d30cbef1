#include "concordat/train/generate.hpp"

#include <algorithm>
#include <cmath>

#include "concordat/device/pending.hpp"
#include "concordat/exact/philox.hpp"
#include "concordat/train/errors.hpp"
#include "concordat/train/micro_batches.hpp"

namespace concordat::train {

namespace {
void refuse(bool bad, std::string what, std::string found, std::string expected) {
  if (!bad) return;
  throw Error(errors::bad_settings, {.what = std::move(what),
                                     .where = "generate",
                                     .found = std::move(found),
                                     .expected = std::move(expected),
                                     .remedy = "start it again with other flags"});
}
}  // namespace

std::int32_t pick_token(std::span<const float> logits, double temperature, double draw) {
  const auto largest = std::max_element(logits.begin(), logits.end());
  if (temperature <= 0.0) return static_cast<std::int32_t>(largest - logits.begin());
  const auto weight = [&](float logit) {
    return std::exp((static_cast<double>(logit) - static_cast<double>(*largest)) / temperature);
  };
  double total = 0.0;
  for (const float logit : logits) total += weight(logit);
  double left = draw * total;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    left -= weight(logits[i]);
    if (left < 0.0) return static_cast<std::int32_t>(i);
  }
  return static_cast<std::int32_t>(logits.size()) - 1;
}

std::vector<std::int32_t> generate(model::Stage& stage, device::Exec& exec,
                                   parallel::ProcessMesh& mesh,
                                   std::span<const std::int32_t> prompt, model::GlobalLength window,
                                   const GenerateOptions& options,
                                   const std::function<bool(std::int32_t)>& each) {
  refuse(mesh.shape().pp * mesh.shape().cp * mesh.shape().tp != 1,
         "the model is spread over several ranks", mesh.shape().text(), "pp=1 cp=1 tp=1");
  refuse(prompt.empty(), "the prompt is empty", "0 tokens", "at least one token");
  refuse(options.temperature < 0.0, "the temperature is negative",
         std::to_string(options.temperature), "0 or more");
  // One shape for all calls: shorter contexts are padded on the right, which a causal model
  // ignores.
  const std::int64_t length = window.value();
  MicroBatches batch(
      exec,
      {.sequences = 1, .per_micro_batch = 1, .length = window, .vocab = stage.config().vocab});
  std::vector<std::int32_t> text(prompt.begin(), prompt.end());
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(length) + 1);
  for (std::int64_t i = 0; i < options.new_tokens; ++i) {
    const auto seen = std::min<std::size_t>(text.size(), static_cast<std::size_t>(length));
    std::fill(tokens.begin(), tokens.end(), 0);
    std::copy(text.end() - static_cast<std::ptrdiff_t>(seen), text.end(), tokens.begin());
    batch.fill(exec, 0, tokens);
    const Tensor logits = stage.logits(batch[0], {});
    const auto row = device::read_back_all<float>(
        exec, logits.slice(0, static_cast<std::int64_t>(seen) - 1, 1).reshape({logits.dim(1)}));
    const double draw = exact::random_u32(options.seed, exact::Purpose::sampling, 0,
                                          static_cast<std::uint64_t>(i)) *
                        0x1p-32;
    const std::int32_t token = pick_token(row.get(), options.temperature, draw);
    text.push_back(token);
    if (each && !each(token)) break;
  }
  return text;
}

}  // namespace concordat::train
