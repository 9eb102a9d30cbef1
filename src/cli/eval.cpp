// `concordat eval`: bits per byte of a trained model on held-out documents.
#include <cmath>
#include <cstdio>
#include <iostream>

#include "cli/command.hpp"
#include "cli/site_command.hpp"
#include "concordat/core/log.hpp"
#include "concordat/crypto/key_files.hpp"
#include "concordat/crypto/process.hpp"
#include "concordat/site/model_on_disk.hpp"

namespace concordat::cli {
namespace {

std::string help() {
  return "concordat eval: bits per byte of a trained model on a site's held-out documents.\n\n"
         "usage:\n"
         "  concordat eval SITE.toml [--model=RUN_FOLDER] [--windows=N] [--plain] [--key=value]\n\n"
         "Evaluates on the validation split of each of the site's data.datasets, where they lie;\n"
         "nothing leaves the site. RUN_FOLDER is the run whose newest checkpoint is taken: this\n"
         "site's by default, or any run with a model of the same shape. N bounds the windows of\n"
         "each dataset (default: all); anything but a whole number above 0 is refused (64).\n"
         "Perplexity is per token of the dataset; bits per byte of token files are not known.\n"
         "--plain prints 'DATASET BITS' alone, or 'DATASET unknown'.\n\n"
         "keys (in SITE.toml as [section] key = value, or as flags):\n" +
         site_schema().help();
}

int run(const Args& given) {
  crypto::disable_core_dumps();
  Args args = given;
  auto model = take_flag(args, "model");
  constexpr std::uint64_t all_windows = 1'000'000'000;
  std::uint64_t windows = all_windows;
  if (auto text = take_flag(args, "windows")) {
    windows = whole_number("eval", "windows", *text, 1, all_windows);
  }
  bool plain = take_flag(args, "plain").has_value();
  SiteInput input = read_site("eval", args);
  const site::SiteSettings& s = input.settings;
  std::filesystem::path folder = model ? std::filesystem::path(*model) : s.run_folder();
  crypto::SecretBytes key = crypto::load_data_key(posix_files(), s.folder / "keys");
  site::ModelOnDisk loaded(s, folder, posix_files(), system_clock());
  if (!plain) std::cout << "model    " << folder.string() << ", " << loaded.generation() << '\n';
  for (const std::string& name : s.datasets) {
    auto dataset = data::Dataset::open(posix_files(), s.folder / "data" / name, key.view(),
                                       data::Split::validation, s.seed);
    data::require_vocabulary(dataset.manifest(), s.tokenizer, s.model.vocab);
    auto report = loaded.evaluate(dataset, windows);
    const auto nats = report.nats_per_token;
    char line[200];
    // Ids that were given stand for a text that nobody knows the length of.
    if (plain && report.bytes == 0) {
      std::snprintf(line, sizeof line, "%s unknown\n", name.c_str());
    } else if (plain) {
      std::snprintf(line, sizeof line, "%s %.4f\n", name.c_str(), report.bits_per_byte);
    } else if (report.bytes == 0) {
      std::snprintf(line, sizeof line,
                    "%-8s %.4f nats per token, perplexity %.3f; bytes of the text are not known\n",
                    name.c_str(), nats, std::exp(nats));
    } else {
      std::snprintf(line, sizeof line,
                    "%-8s %.4f bits per byte (%.4f nats per token, perplexity %.3f, %lld bytes)\n",
                    name.c_str(), report.bits_per_byte, nats, std::exp(nats),
                    static_cast<long long>(report.bytes));
    }
    std::cout << line;
  }
  return 0;
}

}  // namespace

const Command eval_command{"eval", "bits per byte of a model on held-out documents", help, run};

}  // namespace concordat::cli
