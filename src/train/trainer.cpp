#include "concordat/train/trainer.hpp"

#include <cmath>

#include "concordat/device/ops/elementwise.hpp"
#include "concordat/device/pending.hpp"
#include "concordat/train/errors.hpp"
#include "concordat/train/executor.hpp"
#include "concordat/train/schedule_check.hpp"

namespace concordat::train {

namespace {
const TrainSettings& validated(const TrainSettings& settings, parallel::ProcessMesh& mesh,
                               const device::Backend& backend) {
  settings.validate(mesh.shape(), backend);
  CONCORDAT_REQUIRE(backend.reached_by(mesh.all()),
                    "a mesh that is not of the back end's own communicator");
  return settings;
}

Schedule make_schedule(const TrainSettings& settings, int stages, int micro_batches) {
  Schedule schedule = schedule_named(settings.schedule, stages, micro_batches, settings.chunks);
  check(schedule);
  return schedule;
}

double seconds_between(std::chrono::nanoseconds begin, std::chrono::nanoseconds end) {
  return std::chrono::duration<double>(end - begin).count();
}
}  // namespace

Trainer::Trainer(const TrainSettings& settings, device::Exec& exec, parallel::ProcessMesh& mesh,
                 TrainingData& data, const Clock& clock)
    : settings_(validated(settings, mesh, exec.backend)),
      exec_(exec),
      mesh_(mesh),
      data_(data),
      clock_(clock),
      plan_(plan_step(settings, mesh.shape(), mesh.coords().dp)),
      stage_(settings.model, exec, mesh,
             {.parameters = {.compute = settings.compute,
                             .groups = plan_.groups,
                             .bucket_elements = settings.bucket_elements},
              .chunks = settings.chunks,
              .recompute = settings.recompute,
              .sequence_parallel = settings.sequence_parallel}),
      space_(stage_.specs()),
      layout_(parallel::layout_of(stage_.specs(), space_, mesh.shape(), mesh.coords())),
      ownership_(stage_.parameters(), mesh.replicas().size(), mesh.replicas().rank(), settings.zero,
                 settings.norm_block),
      norm_(exec, stage_.specs(), stage_.parameters(), mesh, ownership_, settings.norm_block),
      optimizer_(exec, stage_.parameters(), mesh, ownership_, norm_, settings.adamw,
                 settings.clip_norm),
      reducer_(mesh, exec, stage_.specs(), stage_.parameters(), ownership_, settings.overlap),
      batches_(exec, {.sequences = plan_.share.count,
                      .per_micro_batch = plan_.unit,
                      .length = settings.length,
                      .vocab = settings.model.vocab,
                      .cp = mesh.shape().cp,
                      .cp_rank = mesh.coords().cp}),
      graphs_(settings.graphs ? std::make_unique<UnitGraphs>(exec, stage_, !reducer_.overlaps())
                              : nullptr),
      schedule_(make_schedule(
          settings, mesh.shape().pp,
          (batches_.count() + plan_.units_per_micro_batch - 1) / plan_.units_per_micro_batch)),
      scaler_(settings.compute, settings.loss_scale),
      group_losses_(exec.backend.allocate(Dtype::f64, {plan_.num_groups})),
      loss_(exec.backend.allocate(Dtype::f64, {})) {
  CONCORDAT_REQUIRE(layout_.num_local == stage_.parameters().num_local(),
                    std::to_string(layout_.num_local));
  stage_.parameters().on_group_closed(
      [this](const model::Weight& w, const model::GroupPlace& place) { reducer_.fold(w, place); });
  stage_.parameters().on_bucket_ready([this](const model::Bucket& b) { reducer_.reduce(b); });
  const Tensor initial = host_tensor(Dtype::f32, {layout_.num_local});
  model::initialise(stage_.parameters(), mesh, settings.seed, initial.span<float>());
  write_weights(initial);
}

void Trainer::load_batch() {
  const auto window = static_cast<std::size_t>(settings_.length.value() + 1);
  for (int i = 0; i < batches_.count(); ++i) {
    const std::int64_t sequences = batches_[i].layout.sequences;
    tokens_.resize(static_cast<std::size_t>(sequences) * window);
    const std::uint64_t first =
        data_cursor() + static_cast<std::uint64_t>(plan_.share.begin + batches_.first_sequence(i));
    for (std::size_t s = 0; s < static_cast<std::size_t>(sequences); ++s) {
      data_.sample(first + s, std::span(tokens_).subspan(s * window, window));
    }
    batches_.fill(exec_, i, tokens_);
  }
}

StepReport Trainer::step() {
  const auto begin = clock_.monotonic();
  const double rate = settings_.rate.at(next_step_);
  const double scale = scaler_.scale();
  try {
    load_batch();
    stage_.open_step(scale / static_cast<double>(settings_.tokens_per_step()));
    execute(schedule_, stage_, {batches_.all(), plan_.units_per_micro_batch, graphs_.get()}, mesh_,
            exec_);
    reducer_.finish();
  } catch (const std::exception& error) {
    // The others are in the step's collectives, and sums of our own may be under way beside us:
    // tell them all instead of waiting for each other.
    mesh_.all().fail(error);
    throw;
  }
  optimizer_.step(exec_, next_step_ - scaler_.state().skipped, rate, scale);

  auto squares = device::read_back<double>(exec_, optimizer_.squares());
  auto found_inf = device::read_back<float>(exec_, optimizer_.found_inf());
  const double loss_sum = total_loss();
  const bool overflow = found_inf.get() != 0.0F;
  if (!skips(overflow)) refuse_divergence(loss_sum, overflow);
  StepReport done = report(loss_sum, squares.get() / (scale * scale), rate,
                           seconds_between(begin, clock_.monotonic()));
  done.loss_scale = scale;
  done.skipped = overflow;
  scaler_.update(overflow);
  ++next_step_;
  if (callback_) callback_(done);
  return done;
}

void Trainer::skip_to(std::int64_t step) {
  CONCORDAT_REQUIRE(step >= next_step_, std::to_string(step));
  LossScaleState state = scaler_.state();
  // Adam's bias corrections go by the updates that were made.
  state.skipped += step - next_step_;
  scaler_.restore(state);
  next_step_ = step;
}

double Trainer::total_loss() {
  // The last stages have their replica's groups, all else is 0: sums that are exact, but over cp.
  device::fill(exec_, group_losses_, 0.0);
  device::copy(exec_, group_losses_.slice(0, plan_.first_group, plan_.groups.count()),
               stage_.loss_sums());
  mesh_.axis(parallel::Axis::pp).all_reduce(group_losses_, comm::ReduceOp::sum, exec_.stream);
  mesh_.replicas().all_reduce(group_losses_, comm::ReduceOp::sum, exec_.stream);
  device::sum_in_order(exec_, loss_, group_losses_);
  return device::read_back<double>(exec_, loss_).get();
}

void Trainer::refuse_divergence(double loss_sum, bool found_inf) {
  if (std::isfinite(loss_sum) && !found_inf) return;
  throw Error(
      errors::diverged,
      {.what = std::isfinite(loss_sum) ? "the gradient is not finite" : "the loss is not finite",
       .where = "step " + std::to_string(next_step_),
       .found = "summed loss " + std::to_string(loss_sum) +
                (scaler_.dynamic() ? " at the least loss scale" : ""),
       .expected = "a finite number",
       .remedy = "lower inner.rate or raise the warm-up, and start from the last checkpoint"});
}

StepReport Trainer::report(double loss_sum, double squares, double rate, double seconds) const {
  StepReport done;
  done.step = next_step_;
  done.tokens = settings_.tokens_per_step();
  done.loss = loss_sum / static_cast<double>(done.tokens);
  done.rate = rate;
  done.gradient_norm = std::sqrt(squares);
  done.seconds = seconds;
  done.tokens_per_s = static_cast<double>(done.tokens) / seconds;
  done.flops_per_s = done.tokens_per_s * model::flops_per_token(settings_.model, settings_.length);
  return done;
}

}  // namespace concordat::train
