// A schedule's calls on a stage of the model: units one by one, messages as whole micro-batches.
#include <algorithm>

#include "concordat/device/ops/elementwise.hpp"
#include "concordat/train/executor.hpp"

namespace concordat::train {

namespace {

class ModelWork final : public PipelineWork {
 public:
  ModelWork(model::Stage& stage, const StepUnits& units, parallel::ProcessMesh& mesh,
            device::Exec& exec)
      : stage_(stage), units_(units), pipeline_(mesh.axis(parallel::Axis::pp)), exec_(exec) {
    pipeline_.open_channels({{tag(Way::forward), 1}, {tag(Way::backward), -1}});
  }

  Tensor forward(MicroBatch m, Chunk chunk, const Tensor& x) override {
    return each_unit(m, x, !stage_.is_last(chunk), [&](MicroBatch unit, const Tensor& mine, bool) {
      return stage_.forward(unit, batch(unit), mine, chunk);
    });
  }
  Tensor backward_input(MicroBatch m, Chunk chunk, const Tensor& grad_y) override {
    return each_unit(m, grad_y, !stage_.is_first(chunk),
                     [&](MicroBatch unit, const Tensor& mine, bool) {
                       return stage_.backward_input(unit, mine, chunk);
                     });
  }
  void backward_weight(MicroBatch m, Chunk chunk, bool last) override {
    each_unit(m, {}, false, [&](MicroBatch unit, const Tensor&, bool ends) {
      stage_.backward_weight(unit, last && ends, chunk);
      return Tensor();
    });
  }
  Tensor backward(MicroBatch m, Chunk chunk, const Tensor& grad_y, bool last) override {
    return each_unit(m, grad_y, !stage_.is_first(chunk),
                     [&](MicroBatch unit, const Tensor& mine, bool ends) {
                       return stage_.backward(unit, mine, last && ends, chunk);
                     });
  }
  void forward_backward(MicroBatch m, bool last) override {
    if (units_.graphs == nullptr) return PipelineWork::forward_backward(m, last);
    for (int unit = first(m); unit < end(m); ++unit) {
      units_.graphs->run(MicroBatch(unit), batch(MicroBatch(unit)), last && unit + 1 == end(m));
    }
  }
  void send(const Tensor& tensor, Stage to, Way way) override {
    pipeline_.send(tensor, to.value(), tag(way), exec_.stream);
  }
  Tensor receive(MicroBatch m, Stage from, Way way) override {
    Tensor tensor = boundary(m);
    pipeline_.recv(tensor, from.value(), tag(way), exec_.stream);
    return tensor;
  }

 private:
  // Messages of one tag between two ranks arrive in order, so one tag a way is enough.
  static int tag(Way way) { return way == Way::forward ? 1 : 2; }

  const model::MicroBatchTensors& batch(MicroBatch unit) const {
    return units_.batches[static_cast<std::size_t>(unit.value())];
  }
  int first(MicroBatch m) const { return m.value() * units_.per_micro_batch; }
  int end(MicroBatch m) const {
    return std::min(first(m) + units_.per_micro_batch, static_cast<int>(units_.batches.size()));
  }

  /// What passes between stages for a whole micro-batch.
  Tensor boundary(MicroBatch m) const {
    model::TokenLayout layout = batch(MicroBatch(first(m))).layout;
    for (int unit = first(m) + 1; unit < end(m); ++unit) {
      layout.sequences += batch(MicroBatch(unit)).layout.sequences;
    }
    return stage_.boundary(layout);
  }

  /// work(unit, its rows of `in` or empty, whether it is the micro-batch's last); what it makes,
  /// row below row.
  template <typename Work>
  Tensor each_unit(MicroBatch m, const Tensor& in, bool makes, Work&& work) {
    if (end(m) - first(m) == 1) return work(MicroBatch(first(m)), in, true);
    Tensor all = makes ? boundary(m) : Tensor();
    const std::int64_t row_parts = in.empty() && all.empty() ? 1 : rows(m) / rows_of(in, all);
    std::int64_t row = 0;
    for (int unit = first(m); unit < end(m); ++unit) {
      const std::int64_t count = batch(MicroBatch(unit)).layout.rows() / row_parts;
      const Tensor made =
          work(MicroBatch(unit), in.empty() ? in : in.slice(0, row, count), unit + 1 == end(m));
      if (makes) device::copy(exec_, all.slice(0, row, count), made);
      row += count;
    }
    return all;
  }
  static std::int64_t rows_of(const Tensor& in, const Tensor& all) {
    return in.empty() ? all.dim(0) : in.dim(0);
  }
  std::int64_t rows(MicroBatch m) const {
    std::int64_t total = 0;
    for (int unit = first(m); unit < end(m); ++unit) total += batch(MicroBatch(unit)).layout.rows();
    return total;
  }

  model::Stage& stage_;
  StepUnits units_;
  comm::Communicator& pipeline_;
  device::Exec& exec_;
};

}  // namespace

std::unique_ptr<PipelineWork> model_work(model::Stage& stage, const StepUnits& units,
                                         parallel::ProcessMesh& mesh, device::Exec& exec) {
  return std::make_unique<ModelWork>(stage, units, mesh, exec);
}

void execute(const Schedule& schedule, model::Stage& stage, const StepUnits& units,
             parallel::ProcessMesh& mesh, device::Exec& exec) {
  const auto given = static_cast<std::int64_t>(units.batches.size());
  const std::int64_t places = std::int64_t{schedule.num_micro_batches()} * units.per_micro_batch;
  CONCORDAT_REQUIRE(units.per_micro_batch > 0 && places >= given &&
                        places - given < units.per_micro_batch && schedule.split() == stage.split(),
                    "a schedule of " + std::to_string(schedule.num_micro_batches()) +
                        " micro-batches for " + std::to_string(given) + " units");
  ModelWork work(stage, units, mesh, exec);
  execute(schedule, Stage(mesh.coords().pp), work);
}

void evaluate(model::Stage& stage, const model::MicroBatchTensors& batch,
              parallel::ProcessMesh& mesh, device::Exec& exec, int group) {
  const PipelineSplit& split = stage.split();
  const int here = mesh.coords().pp;
  const std::vector<model::MicroBatchTensors> one{batch};
  ModelWork messages(stage, {.batches = one}, mesh, exec);
  Tensor x;
  for (int c = 0; c < split.chunks; ++c) {
    const Chunk chunk(c);
    const int part = split.part_of(here, chunk);
    const Stage before(split.stage_of(part - 1 + split.num_parts()));
    const Stage behind(split.stage_of(part + 1));
    const bool first = split.is_first(here, chunk);
    const bool last = split.is_last(here, chunk);
    if (!first && before.value() != here) x = messages.receive(MicroBatch(0), before, Way::forward);
    x = stage.evaluate(batch, x, chunk, group);
    if (!last && behind.value() != here) messages.send(x, behind, Way::forward);
  }
}

}  // namespace concordat::train
