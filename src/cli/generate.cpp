// `concordat generate`: text from a trained model.
#include <iostream>
#include <limits>

#include "cli/command.hpp"
#include "cli/site_command.hpp"
#include "cli/site_tokenizer.hpp"
#include "concordat/crypto/process.hpp"
#include "concordat/data/tokenizer.hpp"
#include "concordat/site/model_on_disk.hpp"

namespace concordat::cli {
namespace {

constexpr std::uint64_t most_bytes = 1'000'000'000;
constexpr double most_temperature = 1000.0;

std::string help() {
  return "concordat generate: text from a trained model, token by token.\n\n"
         "usage:\n"
         "  concordat generate SITE.toml --prompt=TEXT [--model=RUN_FOLDER] [--bytes=N]\n"
         "        [--temperature=T] [--seed=S] [--tokenizer=FILE] [--key=value]\n\n"
         "RUN_FOLDER as in 'concordat eval'. N new tokens (default 200), which are bytes unless\n"
         "the site's datasets have another tokenizer or FILE names one; T = 0 takes the likeliest\n"
         "each time (default 0.8). The same seed, prompt and weights give the same text.\n"
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
  auto named_tokenizer = take_flag(args, "tokenizer");
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
  auto tokenizer = site_tokenizer(input.settings, named_tokenizer);
  const data::Vocabulary& vocabulary = tokenizer->vocabulary();
  std::vector<std::int32_t> tokens{static_cast<std::int32_t>(vocabulary.separator)};
  const std::vector<data::Token> prompt_tokens = tokenizer->encode(as_bytes(prompt));
  tokens.insert(tokens.end(), prompt_tokens.begin(), prompt_tokens.end());
  std::filesystem::path folder =
      model ? std::filesystem::path(*model) : input.settings.run_folder();
  site::ModelOnDisk loaded(input.settings, folder, posix_files(), system_clock());
  std::cout << prompt << std::flush;
  // What a token adds can depend on those before it, so all of the text is decoded each time.
  std::vector<data::Token> text_tokens = prompt_tokens;
  std::string printed = to_string(tokenizer->decode(text_tokens));
  loaded.generate(tokens, options, [&](std::int32_t token) {
    // The document ends; ids beyond the tokenizer's are the padding of a model's vocabulary.
    if (token == static_cast<std::int32_t>(vocabulary.separator) ||
        static_cast<std::uint32_t>(token) >= vocabulary.size) {
      return false;
    }
    text_tokens.push_back(token);
    const std::string text = to_string(tokenizer->decode(text_tokens));
    if (!text.starts_with(printed) || text.ends_with("\xef\xbf\xbd")) return true;  // half a letter
    std::cout << text.substr(printed.size()) << std::flush;
    printed = text;
    return true;
  });
  const std::string all = to_string(tokenizer->decode(text_tokens));
  if (all.starts_with(printed)) std::cout << all.substr(printed.size());
  std::cout << '\n';
  return 0;
}

}  // namespace

const Command generate_command{"generate", "text from a trained model", help, run};

}  // namespace concordat::cli
