// What rank 0 examines without the others.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "cli/doctor_checks.hpp"
#include "cli/doctor_subject.hpp"

namespace concordat::cli::doctor {

/// Versions of the program and of the libraries that are loaded.
void gather_program(ProgramFacts& facts);
/// The environment of this process, whole.
std::vector<std::pair<std::string, std::string>> whole_environment();

/// The checks of folders, clock, keys, data and road, in order; each returns its findings. They
/// refer to `options` and `subject`, which outlive them.
std::vector<std::function<Findings()>> checks_alone(const Options& options, const Subject& subject,
                                                    int ranks);

}  // namespace concordat::cli::doctor
