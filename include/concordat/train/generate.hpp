// Text from a model: the next token again and again, greedily or by temperature.
//
//   GenerateOptions options{.new_tokens = 200, .temperature = 0.8, .seed = 7};
//   generate(stage, exec, mesh, prompt, GlobalLength(128), options,
//            [&](std::int32_t token) { print(token); return true; });
//
// The whole context is computed again for every token; beyond the training length the window
// slides. Randomness is counter-based: the same seed, prompt and weights give the same text.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "concordat/model/stage.hpp"

namespace concordat::train {

struct GenerateOptions {
  std::int64_t new_tokens = 100;
  double temperature = 0.8;  ///< 0: always the likeliest token
  std::uint64_t seed = 1;
};

/// Calls `each` with every new token until there are enough or it returns false; returns prompt and
/// new tokens. `window` is the training length.
/// @throws Error(train.bad_token | train.bad_settings): an empty prompt, a token outside the
/// vocabulary, or a model that is spread over several ranks (load it into one).
std::vector<std::int32_t> generate(model::Stage& stage, device::Exec& exec,
                                   parallel::ProcessMesh& mesh,
                                   std::span<const std::int32_t> prompt, model::GlobalLength window,
                                   const GenerateOptions& options,
                                   const std::function<bool(std::int32_t)>& each = {});

/// The token that `draw` in [0, 1) picks from softmax(logits / temperature); temperature 0 picks
/// the first of the largest. Pure.
std::int32_t pick_token(std::span<const float> logits, double temperature, double draw);

}  // namespace concordat::train
