// What the model's tests share: a rank with a back end, a mesh and a parameter set of its own.
//
//   Rank rank("reference", comm, {.tp = 2}, tiny_config());
//   rank.set_weights(values_by_name);
//   std::vector<float> gradient = rank.gradient("model.norm.weight");
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <mutex>
#include <random>

#include "concordat/comm/threads.hpp"
#include "concordat/device/ops/elementwise.hpp"
#include "concordat/device/pending.hpp"
#include "concordat/model/names.hpp"
#include "concordat/model/stage.hpp"
#include "concordat/parallel/canonical_space.hpp"

namespace concordat::model::test {

inline std::vector<std::string> backends() { return {"reference", "cpu", "strict"}; }

/// Odd on purpose: a vocabulary that no tp divides, shared key-value heads where a family has them.
inline ModelConfig tiny_config(Family family = Family::llama) {
  const bool gpt2 = family == Family::gpt2;
  return {.family = family,
          .vocab = 11,
          .width = 8,
          .layers = 2,
          .heads = 4,
          .kv_heads = gpt2 ? 4 : 2,
          .ffn = 12,
          .positions = gpt2 ? 9 : 0,
          .norm_eps = 1e-5F,
          .init_stddev = 0.3F};
}

inline const Names& kNames = names_of(Family::llama);

/// Every family on every back end.
struct Case {
  std::string backend;
  Family family;
};
inline std::vector<Case> cases() {
  std::vector<Case> all;
  for (const std::string& backend : backends()) {
    for (const Family family : {Family::llama, Family::gpt2}) all.push_back({backend, family});
  }
  return all;
}
inline std::string case_name(const testing::TestParamInfo<Case>& info) {
  return info.param.backend + "_" + std::string(name_of(info.param.family));
}

inline std::vector<float> random_values(std::size_t count, unsigned seed, float scale = 1.0F,
                                        float shift = 0.0F) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(shift, scale);
  std::vector<float> values(count);
  for (float& value : values) value = normal(engine);
  return values;
}

using ByName = std::map<std::string, std::vector<float>>;

/// Logical tensors with values that give every gradient something to say.
inline ByName random_weights(const std::vector<parallel::ParameterSpec>& specs, unsigned seed) {
  ByName values;
  for (const auto& spec : specs) {
    const bool gain = spec.init.kind == parallel::Initialisation::Kind::ones;
    values[spec.name] = random_values(static_cast<std::size_t>(num_elements(spec.shape)), seed++,
                                      spec.shape.size() == 1 ? 0.1F : 0.3F, gain ? 1.0F : 0.0F);
  }
  return values;
}

inline std::vector<float> to_host(device::Exec& exec, const Tensor& tensor) {
  return device::read_back_all<float>(exec, tensor).get();
}

/// A [sequences * length] micro-batch from sequences of length + 1 tokens.
inline MicroBatchTensors make_batch(device::Session& session, std::int64_t sequences,
                                    std::int64_t length, std::span<const std::int32_t> windows) {
  std::vector<std::int32_t> tokens, targets, positions;
  for (std::int64_t s = 0; s < sequences; ++s) {
    for (std::int64_t t = 0; t < length; ++t) {
      const auto at = static_cast<std::size_t>(s * (length + 1) + t);
      tokens.push_back(windows[at]);
      targets.push_back(windows[at + 1]);
      positions.push_back(static_cast<std::int32_t>(t));
    }
  }
  const Shape rows{sequences * length};
  return {.tokens = session.upload<std::int32_t>(rows, std::span<const std::int32_t>(tokens)),
          .targets = session.upload<std::int32_t>(rows, std::span<const std::int32_t>(targets)),
          .positions = session.upload<std::int32_t>(rows, std::span<const std::int32_t>(positions)),
          .layout = {.sequences = sequences, .length = LocalLength(length)}};
}

inline std::vector<std::int32_t> random_tokens(std::size_t count, std::int64_t vocab,
                                               unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_int_distribution<std::int32_t> uniform(0, static_cast<std::int32_t>(vocab - 1));
  std::vector<std::int32_t> tokens(count);
  for (auto& token : tokens) token = uniform(engine);
  return tokens;
}

/// Copies this rank's shard out of a logical tensor, or (to_logical) back into it.
inline void move_shard(const LocalTensor& tensor, const parallel::ProcessMesh& mesh,
                       std::vector<float>& local, std::vector<float>& logical, bool to_logical) {
  const parallel::CanonicalSpace::Entry alone{.name = tensor.spec.name,
                                              .shape = tensor.spec.shape,
                                              .count = num_elements(tensor.spec.shape)};
  for (const auto& part : parallel::segments(tensor.spec, alone, mesh.shape(), mesh.coords())) {
    for (std::int64_t i = 0; i < part.count; ++i) {
      for (std::int64_t j = 0; j < part.run; ++j) {
        auto& here = local[static_cast<std::size_t>(part.local_begin + i * part.local_stride + j)];
        auto& there = logical[static_cast<std::size_t>(part.begin + i * part.stride + j)];
        (to_logical ? there : here) = to_logical ? here : there;
      }
    }
  }
}

/// Sets the compute copy of every tensor that the stage holds.
inline void set_weights(device::Exec& exec, ParameterSet& set, const parallel::ProcessMesh& mesh,
                        ByName values) {
  for (const LocalTensor& tensor : set.tensors()) {
    std::vector<float> local(static_cast<std::size_t>(tensor.count), 0.0F);
    move_shard(tensor, mesh, local, values.at(tensor.spec.name), false);
    device::write<float>(exec, set.compute(tensor), local);
  }
  set.bump();
}

/// Adds this rank's gradients, shard by shard, into logical tensors of the right size.
inline void collect_gradients(device::Exec& exec, ParameterSet& set,
                              const parallel::ProcessMesh& mesh, ByName& into) {
  for (const LocalTensor& tensor : set.tensors()) {
    auto local = to_host(exec, set.gradient(tensor));
    auto& logical = into[tensor.spec.name];
    logical.resize(static_cast<std::size_t>(num_elements(tensor.spec.shape)), 0.0F);
    move_shard(tensor, mesh, local, logical, true);
  }
}

inline float largest(const std::vector<float>& values) {
  float most = 0.0F;
  for (const float value : values) most = std::max(most, std::abs(value));
  return most;
}

/// A bias of the keys moves all scores of a row alike, which softmax does not see: its gradient is
/// rounding noise of the sum that it is made of, not a part of itself.
inline bool is_noise(const std::string& name) {
  return name.ends_with(bias_of(names_of(Family::gpt2).key));
}

/// Every element of the tensor `what` within `tolerance` of the largest magnitude in `expected`.
inline void expect_near(const std::vector<float>& found, const std::vector<float>& expected,
                        float tolerance, const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  const float bound = tolerance * std::max(largest(expected), is_noise(what) ? 1.0F : 1e-3F);
  for (std::size_t i = 0; i < found.size(); ++i) {
    ASSERT_NEAR(found[i], expected[i], bound) << what << " [" << i << "]";
  }
}

/// Differences of `loss` in `count` evenly spread elements of `values`, against `gradient`.
/// Four points remove the third derivative, which is large behind a norm of small rows. What is
/// left: the loss's fp32 noise (about 1e-6) over the step of 1e-2, so 1e-4, and the fifth
/// derivative times 1e-8; five times that is the bound.
inline void expect_differences(std::vector<float> values, const std::vector<float>& gradient,
                               std::size_t count,
                               const std::function<double(const std::vector<float>&)>& loss,
                               const std::string& what) {
  ASSERT_EQ(values.size(), gradient.size()) << what;
  const float step = 1e-2F;
  const double bound = 5e-4 * std::max(1.0F, largest(gradient));
  const std::size_t stride = std::max<std::size_t>(1, values.size() / count);
  for (std::size_t i = 0; i < values.size(); i += stride) {
    const float kept = values[i];
    const auto at = [&](float offset) {
      values[i] = kept + offset;
      return loss(values);
    };
    const double slope =
        (8.0 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12.0 * double{step});
    values[i] = kept;
    EXPECT_NEAR(gradient[i], slope, bound) << what << " [" << i << "]";
  }
  loss(values);
}

}  // namespace concordat::model::test
