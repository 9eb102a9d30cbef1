#include "concordat/site/model_on_disk.hpp"

#include <omp.h>

#include "concordat/checkpoint/checkpoint.hpp"
#include "concordat/comm/communicator.hpp"
#include "site/engine.hpp"

namespace concordat::site {
namespace {

// A model that is only looked at asks for no training sample.
class NoTraining final : public train::TrainingData {
 public:
  void sample(std::uint64_t, std::span<std::int32_t>) override {
    throw Bug("a model on disk was asked to train");
  }
};

train::TrainSettings one_rank(const SiteSettings& settings) {
  train::TrainSettings t = train_settings(settings);
  t.micro_batch = settings.local.micro_batch;
  t.batch = t.micro_batch;
  t.schedule = "1f1b";  // one rank has nothing to interleave
  t.chunks = 1;
  t.reproducible = false;  // what one rank only looks at is not trained in groups
  t.logical_batch = 0;
  t.logical_groups = 0;
  return t;
}

}  // namespace

struct ModelOnDisk::Parts {
  Parts(const SiteSettings& settings, const Clock& clock)
      : comm(comm::self_communicator()),
        session((omp_set_num_threads(settings.local.threads), settings.local.device),
                {.tf32 = settings.local.tf32}),
        mesh(*comm, {}),
        trainer(one_rank(settings), session.exec(), mesh, nothing, clock),
        state(trainer.make_state()) {}

  std::unique_ptr<comm::Communicator> comm;
  device::Session session;
  parallel::ProcessMesh mesh;
  NoTraining nothing;
  train::Trainer trainer;
  train::HostState state;
  std::string generation;
};

ModelOnDisk::ModelOnDisk(const SiteSettings& settings, const FileSystem::Path& run_folder,
                         FileSystem& fs, const Clock& clock)
    : parts_(std::make_unique<Parts>(settings, clock)) {
  std::vector<checkpoint::NamedTensor> weights;
  for (const train::StateTensor& part : parts_->state.tensors()) {
    if (part.name.substr(0, 8) != "weights/") continue;
    weights.push_back(checkpoint::named_tensor(part.name, part.spec, Dtype::f32, part.local,
                                               parts_->mesh.shape(), parts_->mesh.coords()));
  }
  auto restored = checkpoint::restore_newest(*parts_->comm, fs, run_folder / "checkpoints", weights,
                                             {.subset = true});
  if (!restored) {
    throw Error(concordat::errors::not_found,
                {.what = "the run has no checkpoint yet",
                 .where = (run_folder / "checkpoints").string(),
                 .found = "no generation",
                 .expected = "a folder such as step-000120",
                 .remedy = "train first, or give another run folder"});
  }
  parts_->generation = restored->name;
  parts_->trainer.write_weights(parts_->state.weights());
}

ModelOnDisk::~ModelOnDisk() = default;

const std::string& ModelOnDisk::generation() const { return parts_->generation; }

train::ValidationReport ModelOnDisk::evaluate(data::Dataset& dataset, std::uint64_t max_windows) {
  train::DatasetValidation windows(dataset, parts_->trainer.settings().length, max_windows);
  return parts_->trainer.validate(windows);
}

void ModelOnDisk::generate(std::span<const std::int32_t> prompt,
                           const train::GenerateOptions& options,
                           const std::function<bool(std::int32_t)>& each) {
  train::generate(parts_->trainer.stage(), parts_->session.exec(), parts_->mesh, prompt,
                  parts_->trainer.settings().length, options, each);
}

}  // namespace concordat::site
