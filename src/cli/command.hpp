// A subcommand of `concordat`: a name, a line for the overview, a manual, and what it does.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::cli {

using Args = std::vector<std::string>;

struct Command {
  std::string_view name;
  std::string_view summary;
  /// The text of `concordat NAME --help`.
  std::string (*help)();
  /// Returns the exit code; throws Error or Bug. `args` are what follows the name.
  int (*run)(const Args& args);
};

/// All subcommands, in the order of a first day's work.
std::span<const Command> commands();

/// Positional arguments and `--name value` / `--name=value` flags of commands without a
/// configuration. @throws Error(usage) for a flag that is not in `known`, naming the command.
class Flags {
 public:
  Flags(std::string_view command, const Args& args, std::vector<std::string> known);
  const std::vector<std::string>& positional() const { return positional_; }
  /// The last value; `fallback` if the flag was not given.
  std::string value(std::string_view name, std::string fallback) const;
  /// @throws Error(usage) when it is missing.
  std::string required(std::string_view name) const;
  std::vector<std::string> values(std::string_view name) const;
  bool given(std::string_view name) const;
  /// @throws Error(usage) unless there are exactly as many positional arguments as names.
  void expect_positional(const std::vector<std::string>& names) const;

 private:
  std::string command_;
  std::vector<std::string> positional_;
  std::vector<std::pair<std::string, std::string>> flags_;
};

/// The whole number that a flag without a schema was given.
/// @throws Error(usage) for anything but digits, and outside `low` to `high`.
std::uint64_t whole_number(std::string_view command, std::string_view flag, std::string_view text,
                           std::uint64_t low, std::uint64_t high);
/// The same for a finite real number.
double real_number(std::string_view command, std::string_view flag, std::string_view text,
                   double low, double high);

// The commands, each in its own file.
extern const Command keys_command;
extern const Command roster_command;
extern const Command ingest_command;
extern const Command train_command;
extern const Command border_command;
extern const Command coordinate_command;
extern const Command donate_command;
extern const Command doctor_command;
extern const Command status_command;
extern const Command audit_command;
extern const Command eval_command;
extern const Command generate_command;
extern const Command schedule_command;
extern const Command slurm_command;
extern const Command import_command;
extern const Command export_command;
extern const Command checkpoint_command;

/// `concordat --version`: build, libraries, back ends, instructions in use.
std::string version_text();

}  // namespace concordat::cli
