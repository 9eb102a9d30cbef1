// Logits, gradients and exported folders of every family against PyTorch and transformers, by
// tests/interop/check_model.py. Skipped where this Python has no torch.
#include <sys/wait.h>

#include <cstdlib>

#include "concordat/core/bytes.hpp"
#include "foreign_folder.hpp"

namespace concordat::model::test {
namespace {

using testing_support::overwrite;
using testing_support::TemporaryFolder;

constexpr std::int64_t kSequences = 3;
constexpr std::int64_t kLength = 16;

/// Its exit code.
int checker(const std::string& arguments) {
  const std::string command = std::string("${CONCORDAT_TORCH_PYTHON:-/usr/bin/python3} ") +
                              CONCORDAT_SOURCE_DIR "/tests/interop/check_model.py " + arguments;
  const int status = std::system(command.c_str());
  EXPECT_TRUE(WIFEXITED(status)) << command;
  return WEXITSTATUS(status);
}

ModelConfig small_config(Family family) {
  ModelConfig config{.family = family,
                     .vocab = 37,
                     .width = 32,
                     .layers = 3,
                     .heads = 4,
                     .kv_heads = 2,
                     .ffn = 48,
                     .rope_base = 500000.0F,
                     .norm_eps = 1e-6F};
  if (family == Family::gpt2) {
    config.kv_heads = config.heads;
    config.positions = 24;
    config.tied = true;
  }
  return config;
}

/// Imports the folder, computes, and leaves beside it what the checker reads.
ByName compute(const FileSystem::Path& folder) {
  ForeignModel foreign(posix_files(), folder);
  const ModelConfig config = foreign.model().config;
  const auto specs = declare_parameters(config);
  foreign.check_tensors(specs);
  std::vector<float> master(static_cast<std::size_t>(config.num_parameters()));
  foreign.read_shards(specs, {}, {}, master);

  auto comm = comm::self_communicator();
  parallel::ProcessMesh mesh(*comm, {});
  device::Session session("cpu");
  Stage stage(config, session.exec(), mesh);
  device::write<float>(session.exec(),
                       stage.parameters().flat_compute(0, stage.parameters().num_local()), master);
  stage.parameters().bump();
  const auto windows = random_tokens(kSequences * (kLength + 1), config.vocab, 5);
  const auto batch = make_batch(session, kSequences, kLength, windows);
  ByteWriter logits;
  for (const float value : to_host(session.exec(), stage.logits(batch, {}))) logits.f32(value);
  overwrite(folder / "logits.f32", logits.bytes());
  ByteWriter ids;
  for (const std::int32_t token : windows) ids.u32(static_cast<std::uint32_t>(token));
  overwrite(folder / "windows.u32", ids.bytes());
  stage.open_step(1.0 / static_cast<double>(batch.layout.rows()));
  stage.forward(MicroBatch(0), batch, {});
  stage.backward(MicroBatch(0), {}, true);
  ByName gradients;
  collect_gradients(session.exec(), stage.parameters(), mesh, gradients);
  write_tensors(folder / "gradients.safetensors", config, gradients);
  ByName weights;
  std::size_t begin = 0;
  for (const auto& spec : specs) {
    const auto count = static_cast<std::size_t>(num_elements(spec.shape));
    weights[spec.name].assign(master.begin() + static_cast<std::ptrdiff_t>(begin),
                              master.begin() + static_cast<std::ptrdiff_t>(begin + count));
    begin += count;
  }
  return weights;
}

/// What export writes of these weights, with the logits that were computed of `from`.
void write_exported(const FileSystem::Path& folder, const FileSystem::Path& from,
                    const ByName& weights) {
  const ForeignModel foreign(posix_files(), from);
  write_folder(folder, foreign.model().config, weights);
  for (const char* file : {"logits.f32", "windows.u32"}) {
    overwrite(folder / file, as_bytes(read_text(posix_files(), from / file, 1U << 30U)));
  }
}

// Three folders of each family: one of ours; one that transformers wrote, which is imported; and
// the export of that one, which transformers loads again. One call checks all: starting PyTorch
// takes longer than the rest.
TEST(ForeignChecker, LogitsGradientsAndExportsAreThoseOfPyTorchAndTransformers) {
  const TemporaryFolder base;
  const auto at = [&](const std::string& name) { return base.path() / name; };
  const int made = checker("make '" + base.path().string() + "'");
  if (made == 77) GTEST_SKIP() << "this Python has no torch: install python3-torch";
  ASSERT_EQ(made, 0);
  std::string folders;
  for (const Family family : {Family::llama, Family::gpt2}) {
    const std::string name(name_of(family));
    const ModelConfig config = small_config(family);
    posix_files().make_directories(at(name + "-ours"));
    write_folder(at(name + "-ours"), config, random_weights(declare_parameters(config), 3));
    compute(at(name + "-ours"));
    folders += " '" + at(name + "-ours").string() + "'";
    if (!posix_files().is_directory(at(name))) continue;  // no transformers here
    posix_files().make_directories(at(name + "-exported"));
    write_exported(at(name + "-exported"), at(name), compute(at(name)));
    folders += " '" + at(name).string() + "' '" + at(name + "-exported").string() + "'";
  }
  EXPECT_EQ(checker("check 3 16" + folders), 0);
}

}  // namespace
}  // namespace concordat::model::test
