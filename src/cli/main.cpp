// concordat: sovereign sites train one model; only masked aggregates cross a border.
#include <exception>
#include <iostream>

#include "cli/command.hpp"
#include "concordat/core/error.hpp"

namespace {

using concordat::cli::Command;

std::string overview() {
  std::string text =
      "concordat: sovereign HPC sites train one model together; their data never leaves them.\n\n"
      "usage: concordat COMMAND [ARGUMENTS] [--key=value ...]\n\ncommands:\n";
  for (const Command& command : concordat::cli::commands()) {
    std::string name(command.name);
    name.resize(12, ' ');
    text += "  " + name + std::string(command.summary) + "\n";
  }
  text +=
      "\n'concordat COMMAND --help' explains one. 'concordat --version' names build, libraries,\n"
      "back ends and instructions in use.\n\n"
      "exit codes: 0 done, 64 usage, 65 bad data, 70 internal, 75 saved (run again),\n"
      "            76 no progress (hold), 77 refused by policy\n";
  return text;
}

int fail(concordat::ExitCode code, const std::string& line) {
  std::cerr << "concordat: " << line << '\n';
  return static_cast<int>(code);
}

int dispatch(const std::vector<std::string>& args) {
  if (args.empty() || args[0] == "--help" || args[0] == "help") {
    std::cout << overview();
    return args.empty() ? static_cast<int>(concordat::ExitCode::usage) : 0;
  }
  if (args[0] == "--version") {
    std::cout << concordat::cli::version_text();
    return 0;
  }
  for (const Command& command : concordat::cli::commands()) {
    if (command.name != args[0]) continue;
    std::vector<std::string> rest(args.begin() + 1, args.end());
    for (const std::string& arg : rest) {
      if (arg == "--help" || arg == "-h") {
        std::cout << command.help();
        return 0;
      }
    }
    return command.run(rest);
  }
  throw concordat::Error(concordat::errors::usage, {.what = "unknown command",
                                                    .where = "command line",
                                                    .found = args[0],
                                                    .expected = "a command of concordat --help",
                                                    .remedy = "concordat --help"});
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return dispatch({argv + 1, argv + argc});
  } catch (const concordat::Error& error) {
    return fail(error.exit_code(), error.what());
  } catch (const std::exception& error) {
    return fail(concordat::ExitCode::internal, error.what());
  }
}
