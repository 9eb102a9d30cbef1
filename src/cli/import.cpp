// `concordat import`: what a Hugging Face folder is, and how a run starts from it.
#include <algorithm>
#include <iostream>
#include <vector>

#include "cli/command.hpp"
#include "concordat/core/clock.hpp"
#include "concordat/core/log.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/model/declaration.hpp"
#include "concordat/model/import.hpp"
#include "concordat/observe/progress.hpp"

namespace concordat::cli {
namespace {

std::string help() {
  return "concordat import: checks a Hugging Face folder and says how a run starts from it.\n\n"
         "usage:\n"
         "  concordat import FOLDER [--out FILE.toml]\n\n"
         "FOLDER holds config.json and model.safetensors, or shards with their index. Every "
         "tensor\n"
         "is held against config.json and read once; what this program does not compute is "
         "refused\n"
         "by the name of its key. Prints the [model] section that describes the model, or writes\n"
         "it to FILE, and the digest of the weights, by which sites compare their copies.\n\n"
         "To start a run: put that section into the configuration, and at each site\n"
         "  [train]\n"
         "  initial_weights = \"FOLDER\"\n"
         "Each rank reads its own shards. 'concordat train --check' then prints the digest of the\n"
         "initial state for the run agreement; a site whose copy differs cannot take part.\n";
}

/// SHA-256 over the canonical fp32 values: the same whatever files and types they came from.
Digest digest_of(model::ForeignModel& foreign, const parallel::CanonicalSpace& space,
                 const std::vector<parallel::ParameterSpec>& specs) {
  constexpr std::int64_t piece = std::int64_t{1} << 22;
  constexpr std::int64_t line_every = 64;  // 1 GiB of fp32
  crypto::Sha256 hash;
  hash.update(as_bytes("concordat/weights/v1"));
  observe::Progress progress(
      system_clock(), {.what = "element", .unit = "elements", .total = space.num_elements()});
  std::vector<float> values;
  std::int64_t pieces = 0;
  for (std::int64_t at = 0; at < space.num_elements(); at += piece) {
    values.resize(static_cast<std::size_t>(std::min(piece, space.num_elements() - at)));
    foreign.read_range(specs, space, at, values);
    ByteView bytes(reinterpret_cast<const std::uint8_t*>(values.data()),
                   values.size() * sizeof(float));
    hash.update(bytes);
    if (++pieces % line_every != 0) continue;
    progress.advance(at + piece, at + piece);
    log::info(progress.line("checked"));
  }
  return hash.finish();
}

int run(const Args& args) {
  Flags flags("import", args, {"out"});
  flags.expect_positional({"FOLDER"});
  const std::filesystem::path folder = flags.positional()[0];
  model::ForeignModel foreign(posix_files(), folder);
  const auto specs = model::declare_parameters(foreign.model().config);
  const parallel::CanonicalSpace space(specs);
  foreign.check_tensors(specs);
  const Digest digest = digest_of(foreign, space, specs);
  std::cout << "model       " << model::name_of(foreign.model().config.family) << ", "
            << space.num_elements() << " parameters in " << specs.size() << " tensors\nfiles       "
            << foreign.weights().num_files() << ", "
            << observe::short_bytes(foreign.weights().num_bytes()) << "\npositions   "
            << foreign.model().max_length << " (inner.length may be at most that)\nweights     "
            << digest.hex() << '\n';
  if (foreign.model().dropout > 0.0F) {
    std::cout << "dropout     up to " << foreign.model().dropout
              << " in config.json; training here applies none\n";
  }
  std::string section = "# Of " + folder.string() + "; weights " + digest.hex() + "\n" +
                        model::model_section(foreign.model().config);
  if (flags.given("out")) {
    const std::string out = flags.required("out");
    create_atomically(posix_files(), out, as_bytes(section));
    std::cout << "written     " << out << '\n';
  } else {
    std::cout << '\n' << section;
  }
  return 0;
}

}  // namespace

const Command import_command{"import", "check a Hugging Face folder that a run will start from",
                             help, run};

}  // namespace concordat::cli
