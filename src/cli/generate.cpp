// `concordat generate`: text from a trained model.
#include <iostream>

#include "cli/command.hpp"
#include "cli/site_command.hpp"
#include "concordat/crypto/process.hpp"
#include "concordat/data/tokenizer.hpp"
#include "concordat/site/model_on_disk.hpp"

namespace concordat::cli {
namespace {

std::string help() {
  return "concordat generate: text from a trained model, byte by byte.\n\n"
         "usage:\n"
         "  concordat generate SITE.toml --prompt=TEXT [--model=RUN_FOLDER] [--bytes=N]\n"
         "        [--temperature=T] [--seed=S] [--key=value]\n\n"
         "RUN_FOLDER as in 'concordat eval'. N new bytes (default 200); T = 0 takes the likeliest\n"
         "byte each time (default 0.8). The same seed, prompt and weights give the same text.\n"
         "A model can repeat what it was trained on: treat its text as the data's own class.\n";
}

template <typename T>
T number(Args& args, std::string_view name, T fallback) {
  auto text = take_flag(args, name);
  if (!text) return fallback;
  try {
    std::size_t used = 0;
    double value = std::stod(*text, &used);
    if (used == text->size() && value >= 0) return static_cast<T>(value);
  } catch (const std::exception&) {
  }
  throw Error(errors::usage, {.what = "bad value for --" + std::string(name),
                              .where = "concordat generate",
                              .found = *text,
                              .expected = "a number that is not negative",
                              .remedy = "concordat generate --help"});
}

int run(const Args& given) {
  crypto::disable_core_dumps();
  Args args = given;
  std::string prompt = take_flag(args, "prompt").value_or("");
  auto model = take_flag(args, "model");
  train::GenerateOptions options{.new_tokens = number<std::int64_t>(args, "bytes", 200),
                                 .temperature = number<double>(args, "temperature", 0.8),
                                 .seed = number<std::uint64_t>(args, "seed", 1)};
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
