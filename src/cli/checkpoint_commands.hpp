// What `concordat checkpoint` can do, each in a file of its own. Arguments are what follows the
// action; the result is the exit code.
#pragma once

#include "cli/command.hpp"

namespace concordat::cli {

int checkpoint_list(const Args& args);
int checkpoint_verify(const Args& args);
int checkpoint_diff(const Args& args);
int checkpoint_export(const Args& args);

}  // namespace concordat::cli
