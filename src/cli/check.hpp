// `concordat train --check`: everything about a run before its first step.
#pragma once

#include <optional>
#include <string>

#include "cli/command.hpp"

namespace concordat::cli {

/// `args`: a site's or a federation's common file and flags; `ranks` as given.
std::string check_text(const Args& args, const std::optional<std::string>& ranks);

}  // namespace concordat::cli
