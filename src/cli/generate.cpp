// `concordat generate`: text from a trained model.
#include <iostream>
#include <limits>

#include "cli/command.hpp"
#include "cli/site_command.hpp"
#include "concordat/crypto/process.hpp"
#include "concordat/data/tokenizer.hpp"
#include "concordat/site/model_on_disk.hpp"

namespace concordat::cli {
namespace {

constexpr std::uint64_t most_bytes = 1'000'000'000;
constexpr double most_temperature = 1000.0;

std::string help() {
  return "concordat generate: text from a trained model, byte by byte.\n\n"
         "usage:\n"
         "  concordat generate SITE.toml --prompt=TEXT [--model=RUN_FOLDER] [--bytes=N]\n"
         "        [--temperature=T] [--seed=S] [--key=value]\n\n"
         "RUN_FOLDER as in 'concordat eval'. N new bytes (default 200); T = 0 takes the likeliest\n"
         "byte each time (default 0.8). The same seed, prompt and weights give the same text.\n"
         "A model can repeat what it was trained on: treat its text as the data's own class.\n"
         "N and S are whole numbers, T is at most 1000; anything else is refused (64).\n\n"
         "keys (in SITE.toml as [section] key = value, or as flags):\n" +
         site_schema().help();
}

std::uint64_t whole_flag(Args& args, std::string_view name, std::uint64_t fallback,
                         std::uint64_t low, std::uint64_t high) {
  auto text = take_flag(args, name);
  return text ? whole_number("generate", name, *text, low, high) : fallback;
}

int run(const Args& given) {
  crypto::disable_core_dumps();
  Args args = given;
  std::string prompt = take_flag(args, "prompt").value_or("");
  auto model = take_flag(args, "model");
  constexpr std::uint64_t any = std::numeric_limits<std::uint64_t>::max();
  train::GenerateOptions options;
  options.new_tokens = static_cast<std::int64_t>(whole_flag(args, "bytes", 200, 0, most_bytes));
  auto temperature = take_flag(args, "temperature");
  options.temperature =
      temperature ? real_number("generate", "temperature", *temperature, 0.0, most_temperature)
                  : 0.8;
  options.seed = whole_flag(args, "seed", 1, 0, any);
  SiteInput input = read_site("generate", args);
  data::require_utf8(as_bytes(prompt), "--prompt");
  std::vector<std::int32_t> tokens{data::separator_token};
  for (data::Token token : data::encode(as_bytes(prompt))) tokens.push_back(token);
  std::filesystem::path folder =
      model ? std::filesystem::path(*model) : input.settings.run_folder();
  site::ModelOnDisk loaded(input.settings, folder, posix_files(), system_clock());
  std::cout << prompt << std::flush;
  loaded.generate(tokens, options, [](std::int32_t token) {
    if (token >= data::separator_token) return false;  // the document ends
    std::cout << static_cast<char>(token) << std::flush;
    return true;
  });
  std::cout << '\n';
  return 0;
}

}  // namespace

const Command generate_command{"generate", "text from a trained model", help, run};

}  // namespace concordat::cli
