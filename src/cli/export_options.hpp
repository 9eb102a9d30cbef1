// The flags that all exports share, and what they print.
#pragma once

#include <string>

#include "cli/command.hpp"
#include "concordat/site/model_export.hpp"

namespace concordat::cli {

/// Takes --out, --dtype, --shard-size and --max-length out of `args`. The result logs progress now
/// and then. @throws Error(usage).
site::ExportOptions take_export_options(std::string_view command, Args& args);

/// What was passed over goes to the log, the rest to standard output. `source` is what the user
/// exported from.
void print_exported(const std::string& source, const site::ExportOptions& options,
                    const site::Exported& done);

}  // namespace concordat::cli
