// `concordat export`: a trained model as a Hugging Face folder.
#include <iostream>

#include "cli/command.hpp"
#include "cli/site_command.hpp"
#include "cli/site_tokenizer.hpp"
#include "concordat/core/clock.hpp"
#include "concordat/core/log.hpp"
#include "concordat/crypto/process.hpp"
#include "concordat/observe/progress.hpp"
#include "concordat/site/model_export.hpp"

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
         "as the data's own class.\n\n"
         "keys (in SITE.toml as [section] key = value, or as flags):\n" +
         site_schema().help();
}

std::string required_flag(Args& args, std::string_view name) {
  auto value = take_flag(args, name);
  if (value && *value != "true") return *value;
  throw Error(errors::usage, {.what = "a flag is missing",
                              .where = "concordat export",
                              .found = "nothing",
                              .expected = "--" + std::string(name) + "=...",
                              .remedy = "concordat export --help"});
}

Dtype dtype_flag(Args& args) {
  const std::string text = take_flag(args, "dtype").value_or("bf16");
  if (text == "bf16") return Dtype::bf16;
  if (text == "f32") return Dtype::f32;
  throw Error(errors::usage, {.what = "bad value for --dtype",
                              .where = "concordat export",
                              .found = text,
                              .expected = "bf16 or f32",
                              .remedy = "concordat export --help"});
}

int run(const Args& given) {
  crypto::disable_core_dumps();
  Args args = given;
  constexpr std::uint64_t most = std::uint64_t{1} << 60U;
  site::ExportOptions options;
  options.out = required_flag(args, "out");
  options.dtype = dtype_flag(args);
  auto model = take_flag(args, "model");
  if (auto text = take_flag(args, "shard-size")) {
    options.shard_bytes = whole_number("export", "shard-size", *text, 1, most);
  }
  if (auto text = take_flag(args, "max-length")) {
    options.max_length =
        static_cast<std::int64_t>(whole_number("export", "max-length", *text, 1, 1U << 30U));
  }
  SiteInput input = read_site("export", args);
  options.separator = site_separator(input.settings);
  std::optional<observe::Progress> progress;
  std::uint64_t next_line = std::uint64_t{1} << 30U;
  options.progress = [&](std::uint64_t done, std::uint64_t total) {
    if (!progress) {
      progress.emplace(
          system_clock(),
          observe::ProgressOptions{
              .what = "byte", .unit = "bytes", .total = static_cast<std::int64_t>(total)});
    }
    if (done < next_line) return;
    next_line += std::uint64_t{1} << 30U;
    progress->advance(static_cast<std::int64_t>(done), static_cast<std::int64_t>(done));
    log::info(progress->line("written"));
  };
  const std::filesystem::path folder =
      model ? std::filesystem::path(*model) : input.settings.run_folder();
  const auto done = site::export_model(input.settings, folder, posix_files(), options);
  for (const auto& skipped : done.skipped) {
    log::warn("generation " + skipped.name + " was passed over: " + skipped.reason);
  }
  std::cout << "exported    " << folder.string() << ", " << done.generation << "\nwritten     "
            << options.out.string() << ": " << done.num_tensors << " tensors, "
            << observe::short_bytes(done.num_bytes) << " in " << done.num_files
            << (done.num_files == 1 ? " file\n" : " files\n");
  return 0;
}

}  // namespace

const Command export_command{"export", "a trained model as a Hugging Face folder", help, run};

}  // namespace concordat::cli
