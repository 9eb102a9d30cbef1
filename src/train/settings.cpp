#include "concordat/train/settings.hpp"

#include <algorithm>

#include "concordat/device/errors.hpp"
#include "concordat/model/declaration.hpp"
#include "concordat/model/stage.hpp"
#include "concordat/train/errors.hpp"
#include "concordat/train/micro_batches.hpp"
#include "concordat/train/schedule_check.hpp"
#include "concordat/train/step_plan.hpp"

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
  model.require_length(length);
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
  need(compute == Dtype::f32 || compute == Dtype::bf16 || compute == Dtype::f16, "train.precision",
       std::string(name_of(compute)), "f32, bf16 or f16");
  need(loss_scale.least > 0.0 && loss_scale.least <= loss_scale.initial &&
           loss_scale.initial <= loss_scale.greatest && loss_scale.growth_interval > 0,
       "loss_scale", std::to_string(loss_scale.initial), "least <= initial <= greatest");
  need(norm_block > 0, "norm_block", std::to_string(norm_block), "at least 1");
  validate_reproducible(*this, mesh);
  need(!graphs || (mesh.pp == 1 && mesh.tp == 1 && mesh.cp == 1), "train.graphs",
       "true with pp = " + std::to_string(mesh.pp) + ", tp = " + std::to_string(mesh.tp) +
           ", cp = " + std::to_string(mesh.cp),
       "each of them 1, or train.graphs = false: no message between ranks can be replayed");
  need(!graphs || schedule == "1f1b" || schedule == "zb-h1", "train.graphs",
       "true with train.schedule = " + schedule,
       "1f1b or zb-h1, whose backward follows its forward, or train.graphs = false");
  need(zero == 0 || zero == 1, "layout.zero", std::to_string(zero), "0 or 1");
  const auto local = model::local_length(length, mesh.cp);
  for (const std::int64_t share :
       {share_of(batch, mesh.dp, 0).count, share_of(batch, mesh.dp, mesh.dp - 1).count}) {
    // The last micro-batch may be shorter.
    const std::int64_t unit = reproducible ? logical_unit(*this) : micro_batch;
    for (const std::int64_t sequences : {std::min(unit, share), share % unit}) {
      const std::int64_t rows = sequences * local.value();
      if (!sequence_parallel || rows % mesh.tp == 0) continue;
      throw Error(
          errors::bad_settings,
          {.what = "tensor parallel ranks do not divide the rows of a micro-batch",
           .where = "layout.sequence_parallel",
           .found = "tp = " + std::to_string(mesh.tp) + " for " + std::to_string(sequences) +
                    " sequences of " + std::to_string(local.value()) + " positions",
           .expected = "a multiple of " + std::to_string(mesh.tp) + " rows",
           .remedy = std::string("change train.") +
                     (reproducible ? "logical_batch" : "micro_batch") +
                     ", train.batch or inner.length, or set "
                     "layout.sequence_parallel = false"});
    }
  }
  need(bucket_elements > 0, "bucket_elements", std::to_string(bucket_elements), "at least 1");
}

void TrainSettings::validate(const parallel::MeshShape& mesh,
                             const device::Backend& backend) const {
  validate(mesh);
  if (reproducible && mesh.size() > 1 && !backend.sums_in_fixed_order()) {
    throw Error(device::errors::not_on_this_device,
                {.what = "reproducible mode needs sums over ranks in an order that layouts do not "
                         "change, and NCCL's is its own",
                 .where = "train.reproducible with train.device=" + std::string(backend.name()),
                 .found = std::to_string(mesh.size()) + " ranks",
                 .expected = "1",
                 .remedy = "start one rank, set train.reproducible=false, or set "
                           "train.device=cpu"});
  }
  if (graphs && !backend.captures()) {
    throw Error(device::errors::not_on_this_device,
                {.what = "this device replays no work",
                 .where = "train.graphs",
                 .found = "train.device=" + std::string(backend.name()),
                 .expected = "train.device=cuda",
                 .remedy = "set train.graphs=false"});
  }
}

Dtype precision_named(std::string_view name) {
  need(name == "fp32" || name == "bf16" || name == "fp16", "train.precision", std::string(name),
       "fp32, bf16 or fp16");
  return name == "fp32" ? Dtype::f32 : name == "bf16" ? Dtype::bf16 : Dtype::f16;
}

model::Recompute recompute_named(std::string_view name) {
  need(name == "none" || name == "attention" || name == "block", "train.recompute",
       std::string(name), "none, attention or block");
  return name == "none"        ? model::Recompute::none
         : name == "attention" ? model::Recompute::attention
                               : model::Recompute::block;
}

MemoryEstimate estimate_memory(const TrainSettings& settings, const parallel::MeshShape& mesh,
                               const device::Backend& backend) {
  const auto& model = settings.model;
  const PipelineSplit split{.stages = mesh.pp, .chunks = settings.chunks};
  std::int64_t layers = 0;  // of the first stage, which has the most
  for (int chunk = 0; chunk < split.chunks; ++chunk) {
    const auto range = model::layers_of_part(model.layers, split, split.part_of(0, Chunk(chunk)));
    layers += range.end - range.begin;
  }
  const model::Traits traits = model.traits();
  // Of a rank; with more tp ranks than key and value heads it holds one whole head.
  const std::int64_t kv_width = model.head_dim() * std::max(1, model.kv_heads / mesh.tp);
  const std::int64_t tables = ceil_div(model.vocab, mesh.tp) * model.width;
  const bool both = mesh.pp == 1 && !model.tied;
  const std::int64_t local = layers * model::block_parameters(model, mesh.tp) +
                             tables * (both ? 2 : 1) + model.positions * model.width + model.width;

  const std::int64_t share = ceil_div(settings.batch, mesh.dp);
  const std::int64_t sequences = std::min(settings.micro_batch, share);
  const ScheduleReport report = check(schedule_named(
      settings.schedule, mesh.pp, num_micro_batches(settings, mesh.dp, 0), settings.chunks));
  const double in_flight = peak_micro_batches(report, settings.chunks);
  const std::int64_t rows = sequences * model::local_length(settings.length, mesh.cp).value();
  const StepPlan plan = plan_step(settings, mesh, 0);
  // Rows that go through a layer at once; a micro-batch keeps those of all its units.
  const std::int64_t unit_rows =
      std::min(plan.unit, sequences) * model::local_length(settings.length, mesh.cp).value();
  const std::int64_t row_parts = settings.sequence_parallel ? mesh.tp : 1;
  const std::int64_t width = model.width;
  const std::int64_t qkv = width / mesh.tp + 2 * kv_width;
  const std::int64_t attended = (width + model.heads) / mesh.tp;
  const std::int64_t ffn = model.ffn / mesh.tp;
  const Dtype read = backend.multiplies(settings.compute) ? settings.compute : Dtype::f32;
  const auto parts = static_cast<std::int64_t>(size_of(Dtype::f32) / size_of(read));
  const std::int64_t products = (traits.gated ? 2 : 1) * ffn;
  const std::int64_t statistics = traits.layer_norm ? 4 : 2;  // of two norms
  // Floats of a row that a layer keeps: x, middle and what norms divide by; q, k, v; what the
  // activation is of; and unless they are made again two norms, the attention's result and the
  // activation.
  const std::int64_t outside = width / row_parts;  // between the products
  const std::int64_t remade = 2 * outside + attended + ffn;
  const std::int64_t needed = 2 * outside + statistics + qkv + products / parts;
  const std::int64_t kept = settings.recompute == model::Recompute::none        ? needed + remade
                            : settings.recompute == model::Recompute::attention ? needed
                                                                                : outside;
  // One layer's backward: gradients of the activation, of q, k, v, of the attention's result and of
  // four more rows; and what is made again.
  const std::int64_t gathered = row_parts > 1 ? 2 * width : 0;
  const std::int64_t passing =
      ffn + qkv + width / mesh.tp + 4 * outside + gathered + (needed + remade - kept);
  // Where W does not follow B at once, gradients of products wait for it, and of all layers.
  const bool waits = mesh.pp > 1;
  const std::int64_t waiting = waits ? layers * (4 * outside + needed + remade - kept) : 0;
  // The head keeps the logits' gradient in what products read; in 16 bits a chunk of logits is
  // beside it.
  const std::int64_t vocabulary = ceil_div(model.vocab, mesh.tp);
  const std::int64_t logits = vocabulary / parts + outside + 4;
  const std::int64_t tail = mesh.pp == 1 ? logits : 0;
  const std::int64_t chunk =
      mesh.pp == 1 && parts > 1 ? std::min(rows, model::StageSettings().loss_chunk_rows) : 0;
  MemoryEstimate estimate;
  const auto low = static_cast<std::int64_t>(size_of(settings.compute));
  // Norms and biases stay in f32.
  const std::int64_t norms =
      layers * (traits.biases ? 6 * width + qkv + products : 2 * width) + width;
  const std::int64_t owned = settings.zero == 1 ? ceil_div(local, mesh.dp * mesh.cp) : local;
  // In fp32 the master is what products read, unless the replicas share it out.
  const bool one_copy = settings.compute == Dtype::f32 && owned == local;
  estimate.weights = (one_copy ? 0 : owned * 4) + (local - norms) * low + norms * 4;
  // A tied table has a gradient for each of its two users.
  const std::int64_t beside = settings.reproducible && model.tied && mesh.pp == 1 ? tables : 0;
  estimate.gradients = (local + beside) * 4 * plan.groups.depth();
  estimate.optimizer = owned * 8;
  estimate.activations = static_cast<std::int64_t>(
      static_cast<double>(4 * rows) *
          (in_flight * static_cast<double>(layers * kept + (waits ? outside : 0)) +
           static_cast<double>(waiting + tail)) +
      static_cast<double>(4 * unit_rows) * static_cast<double>(outside + passing) +
      4.0 * static_cast<double>(chunk * vocabulary));
  // Products read every matrix but what is only looked up: an untied embedding, positions.
  const std::int64_t look_up = (model.tied ? 0 : tables) + model.positions * model.width;
  if (read == settings.compute) {
    estimate.copies = backend.weight_copies(read) * (local - norms - look_up) * low;
  } else {
    const std::int64_t layer = std::max((model.width + 2 * model.kv_width()) * model.width,
                                        (traits.gated ? 2 : 1) * model.ffn * model.width) /
                               mesh.tp;
    estimate.scratch = 4 * std::max(layer, tables);
  }
  return estimate;
}

}  // namespace concordat::train
