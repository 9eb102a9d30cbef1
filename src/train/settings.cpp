#include "concordat/train/settings.hpp"

#include <algorithm>

#include "concordat/model/llama.hpp"
#include "concordat/train/errors.hpp"

namespace concordat::train {

namespace {
void need(bool good, const char* key, std::string found, std::string expected) {
  if (good) return;
  throw Error(errors::bad_settings, {.what = "the training settings cannot be honoured",
                                     .where = key,
                                     .found = std::move(found),
                                     .expected = std::move(expected),
                                     .remedy = "correct the [train] section"});
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
}  // namespace

void TrainSettings::validate(const parallel::MeshShape& mesh) const {
  model.validate();
  model::check_layout(model, mesh);
  rate.validate();
  need(length.value() > 0, "train.length", std::to_string(length.value()), "at least 1");
  need(batch >= mesh.dp, "train.batch", std::to_string(batch),
       "at least one sequence for each of the " + std::to_string(mesh.dp) +
           " data parallel replicas");
  need(micro_batch > 0, "train.micro_batch", std::to_string(micro_batch), "at least 1");
  need(clip_norm >= 0.0F, "train.clip_norm", std::to_string(clip_norm), "0 or more");
  need(schedule == "1f1b" || schedule == "gpipe", "train.schedule", schedule, "1f1b or gpipe");
  need(compute == Dtype::f32, "train.compute", std::string(name_of(compute)),
       "f32, the only precision that layers compute in so far");
  need(bucket_elements > 0, "train.bucket_elements", std::to_string(bucket_elements), "at least 1");
}

MemoryEstimate estimate_memory(const TrainSettings& settings, const parallel::MeshShape& mesh) {
  const auto& model = settings.model;
  const std::int64_t layers = ceil_div(model.layers, mesh.pp);
  const std::int64_t per_layer =
      (2 * model.width * (model.width + model.kv_width()) + 3 * model.width * model.ffn) / mesh.tp +
      2 * model.width;
  const std::int64_t tables = ceil_div(model.vocab, mesh.tp) * model.width;
  const bool both = mesh.pp == 1 && !model.tied;
  const std::int64_t local = layers * per_layer + tables * (both ? 2 : 1) + model.width;

  const std::int64_t share = ceil_div(settings.batch, mesh.dp);
  const std::int64_t sequences = std::min(settings.micro_batch, share);
  const std::int64_t in_flight = settings.schedule == "gpipe"
                                     ? ceil_div(share, sequences)
                                     : std::min<std::int64_t>(mesh.pp, ceil_div(share, sequences));
  const std::int64_t rows = sequences * settings.length.value();
  // x, two norms, middle; q, k, v and the attention's result; gate, up and their product.
  const std::int64_t row_floats =
      4 * model.width +
      (2 * model.width + 2 * model.kv_width() + model.heads + 3 * model.ffn) / mesh.tp;
  const std::int64_t logits = ceil_div(model.vocab, mesh.tp) + 4 * model.width;
  MemoryEstimate estimate;
  estimate.weights = local * (4 + static_cast<std::int64_t>(size_of(settings.compute)));
  estimate.gradients = local * 4;
  estimate.optimizer = local * 8;
  // The backward keeps gradients of the products until the weights' turn: about as much again.
  estimate.activations = 4 * rows * (in_flight + 1) * (layers * row_floats + logits);
  return estimate;
}

}  // namespace concordat::train
