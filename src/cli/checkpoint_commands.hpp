// What `concordat checkpoint` can do, each in a file of its own. Arguments are what follows the
// action; the result is the exit code.
#pragma once

#include "cli/command.hpp"

namespace concordat::cli {

int checkpoint_list(Args args);
int checkpoint_verify(Args args);
int checkpoint_diff(Args args);
int checkpoint_export(Args args);

}  // namespace concordat::cli
