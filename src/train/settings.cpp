#include "concordat/train/settings.hpp"

#include <algorithm>

#include "concordat/model/llama.hpp"
#include "concordat/train/errors.hpp"
#include "concordat/train/micro_batches.hpp"
#include "concordat/train/schedule_check.hpp"

namespace concordat::train {

namespace {
void need(bool good, const char* key, std::string found, std::string expected) {
  if (good) return;
  throw Error(errors::bad_settings, {.what = "the training settings cannot be honoured",
                                     .where = key,
                                     .found = std::move(found),
                                     .expected = std::move(expected),
                                     .remedy = std::string("correct ") + key});
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

int num_micro_batches(const TrainSettings& settings, int replicas, int replica) {
  return static_cast<int>(
      ceil_div(share_of(settings.batch, replicas, replica).count, settings.micro_batch));
}
}  // namespace

void TrainSettings::validate(const parallel::MeshShape& mesh) const {
  model.validate();
  model::check_layout(model, mesh, chunks);
  rate.validate();
  need(length.value() > 0, "inner.length", std::to_string(length.value()), "at least 1");
  need(batch >= mesh.dp, "train.batch", std::to_string(batch),
       "at least one sequence for each of the " + std::to_string(mesh.dp) +
           " data parallel replicas");
  need(micro_batch > 0, "train.micro_batch", std::to_string(micro_batch), "at least 1");
  need(clip_norm >= 0.0F, "inner.clip_norm", std::to_string(clip_norm), "0 or more");
  // Replicas may differ by a micro-batch: what the schedule cannot deal out on any is refused.
  require_schedule(schedule, mesh.pp, num_micro_batches(*this, mesh.dp, 0), chunks);
  require_schedule(schedule, mesh.pp, num_micro_batches(*this, mesh.dp, mesh.dp - 1), chunks);
  need(compute == Dtype::f32, "compute", std::string(name_of(compute)),
       "f32, the only precision that layers compute in so far");
  need(bucket_elements > 0, "bucket_elements", std::to_string(bucket_elements), "at least 1");
}

MemoryEstimate estimate_memory(const TrainSettings& settings, const parallel::MeshShape& mesh) {
  const auto& model = settings.model;
  const PipelineSplit split{.stages = mesh.pp, .chunks = settings.chunks};
  std::int64_t layers = 0;  // of the first stage, which has the most
  for (int chunk = 0; chunk < split.chunks; ++chunk) {
    const auto range = model::layers_of_part(model.layers, split, split.part_of(0, Chunk(chunk)));
    layers += range.end - range.begin;
  }
  const std::int64_t per_layer =
      (2 * model.width * (model.width + model.kv_width()) + 3 * model.width * model.ffn) / mesh.tp +
      2 * model.width;
  const std::int64_t tables = ceil_div(model.vocab, mesh.tp) * model.width;
  const bool both = mesh.pp == 1 && !model.tied;
  const std::int64_t local = layers * per_layer + tables * (both ? 2 : 1) + model.width;

  const std::int64_t share = ceil_div(settings.batch, mesh.dp);
  const std::int64_t sequences = std::min(settings.micro_batch, share);
  const ScheduleReport report = check(schedule_named(
      settings.schedule, mesh.pp, num_micro_batches(settings, mesh.dp, 0), settings.chunks));
  const double in_flight = peak_micro_batches(report, settings.chunks);
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
  estimate.activations = static_cast<std::int64_t>(
      (in_flight + 1.0) * static_cast<double>(4 * rows * (layers * row_floats + logits)));
  return estimate;
}

}  // namespace concordat::train
