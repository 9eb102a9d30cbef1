#include "cli/command.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "concordat/core/error.hpp"

namespace concordat::cli {
namespace {

[[noreturn]] void usage(const std::string& command, std::string what, std::string found,
                        std::string expected) {
  throw Error(errors::usage, {.what = std::move(what),
                              .where = "concordat " + command,
                              .found = std::move(found),
                              .expected = std::move(expected),
                              .remedy = "concordat " + command + " --help"});
}

[[noreturn]] void bad_number(std::string_view command, std::string_view flag, std::string_view text,
                             std::string expected) {
  usage(std::string(command), "bad value for --" + std::string(flag),
        text.empty() ? "nothing" : std::string(text), std::move(expected));
}

// As short as a person would write it.
std::string bound_text(double value) {
  char text[32];
  auto [end, status] = std::to_chars(text, text + sizeof text, value);
  return {text, end};
}

// All of `text` and nothing else: no space, no sign, no other base.
template <typename T>
bool parse_all(std::string_view text, T& value) {
  auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  return status == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::span<const Command> commands() {
  static const std::array<Command, 17> all{
      keys_command,   roster_command,     ingest_command,   import_command, train_command,
      border_command, coordinate_command, doctor_command,   status_command, checkpoint_command,
      audit_command,  eval_command,       generate_command, export_command, schedule_command,
      slurm_command,  donate_command};
  return all;
}

Flags::Flags(std::string_view command, const Args& args, std::vector<std::string> known)
    : command_(command) {
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (arg.size() < 3 || arg.substr(0, 2) != "--") {
      positional_.push_back(arg);
      continue;
    }
    std::size_t equals = arg.find('=');
    std::string name = arg.substr(2, equals == std::string::npos ? equals : equals - 2);
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      std::string list;
      for (const std::string& flag : known) list += " --" + flag;
      usage(command_, "unknown flag", "--" + name, "one of" + list);
    }
    if (equals != std::string::npos) {
      flags_.emplace_back(name, arg.substr(equals + 1));
    } else if (i + 1 < args.size() && args[i + 1].substr(0, 2) != "--") {
      flags_.emplace_back(name, args[++i]);
    } else {
      flags_.emplace_back(name, "true");
    }
  }
}

std::string Flags::value(std::string_view name, std::string fallback) const {
  for (const auto& [flag, value] : flags_) {
    if (flag == name) fallback = value;
  }
  return fallback;
}

std::string Flags::required(std::string_view name) const {
  if (!given(name)) usage(command_, "a flag is missing", "nothing", "--" + std::string(name));
  return value(name, "");
}

std::vector<std::string> Flags::values(std::string_view name) const {
  std::vector<std::string> all;
  for (const auto& [flag, value] : flags_) {
    if (flag == name) all.push_back(value);
  }
  return all;
}

bool Flags::given(std::string_view name) const { return !values(name).empty(); }

void Flags::expect_positional(const std::vector<std::string>& names) const {
  if (positional_.size() == names.size()) return;
  std::string wanted;
  for (const std::string& name : names) wanted += (wanted.empty() ? "" : " ") + name;
  usage(command_, "wrong number of arguments", std::to_string(positional_.size()),
        wanted.empty() ? "none" : wanted);
}

std::uint64_t whole_number(std::string_view command, std::string_view flag, std::string_view text,
                           std::uint64_t low, std::uint64_t high) {
  std::uint64_t value = 0;
  if (parse_all(text, value) && value >= low && value <= high) return value;
  bad_number(command, flag, text,
             "a whole number from " + std::to_string(low) + " to " + std::to_string(high));
}

double real_number(std::string_view command, std::string_view flag, std::string_view text,
                   double low, double high) {
  double value = 0.0;
  // Written so that NaN fails.
  if (parse_all(text, value) && value >= low && value <= high) return value;
  bad_number(command, flag, text, "a number from " + bound_text(low) + " to " + bound_text(high));
}

}  // namespace concordat::cli
