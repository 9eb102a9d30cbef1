// `concordat export`: a trained model as a Hugging Face folder.
#include "cli/export_options.hpp"
#include "cli/site_command.hpp"
#include "cli/site_tokenizer.hpp"
#include "concordat/crypto/process.hpp"

namespace concordat::cli {
namespace {

std::string help() {
  return "concordat export: writes a run's newest checkpoint as a Hugging Face folder.\n\n"
         "usage:\n"
         "  concordat export SITE.toml --out=FOLDER [--model=RUN_FOLDER] [--dtype=bf16|f32]\n"
         "        [--shard-size=BYTES] [--max-length=N] [--key=value]\n\n"
         "FOLDER must not exist; it gets config.json and model.safetensors, or shards of at most\n"
         "BYTES (default 5000000000) with model.safetensors.index.json, and loads in transformers\n"
         "with AutoModelForCausalLM.from_pretrained(FOLDER). It appears complete or not at all.\n"
         "bf16 (default) rounds to nearest, f32 is exact: importing it gives the same bits.\n"
         "RUN_FOLDER as in 'concordat eval'. N is max_position_embeddings (default inner.length).\n"
         "No tokenizer is written. A model can repeat what it was trained on: treat the folder\n"
         "as the data's own class. An older generation: 'concordat checkpoint export'.\n\n"
         "keys (in SITE.toml as [section] key = value, or as flags):\n" +
         site_schema().help();
}

int run(const Args& given) {
  crypto::disable_core_dumps();
  Args args = given;
  site::ExportOptions options = take_export_options("export", args);
  auto model = take_flag(args, "model");
  SiteInput input = read_site("export", args);
  options.separator = site_separator(input.settings);
  const std::filesystem::path folder =
      model ? std::filesystem::path(*model) : input.settings.run_folder();
  print_exported(folder.string(), options,
                 site::export_model(input.settings, folder, posix_files(), options));
  return 0;
}

}  // namespace

const Command export_command{"export", "a trained model as a Hugging Face folder", help, run};

}  // namespace concordat::cli
