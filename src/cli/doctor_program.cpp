// The program itself, and the libraries that it runs with.
#include "cli/doctor_checks.hpp"

namespace concordat::cli::doctor {
namespace {

/// "HDF5 1.10.8" without the last number: releases with the same one go together.
std::string line_of(const std::string& version) { return version.substr(0, version.rfind('.')); }

Finding instructions_finding(const std::vector<std::string>& ranks) {
  for (std::size_t i = 1; i < ranks.size(); ++i) {
    if (ranks[i] == ranks[0]) continue;
    return warn("program",
                "ranks compute with different instructions: rank 0 " + ranks[0] + ", rank " +
                    std::to_string(i) + " " + ranks[i],
                "ask for nodes of one kind; on a mixture a repeated run need not have the same "
                "bits");
  }
  const std::string here = ranks.empty() ? "not known" : ranks[0];
  if (here.find("only the reference back end") != std::string::npos) {
    return warn("program", "instructions: " + here,
                "run on a processor with AVX2: the reference back end is made for tests");
  }
  return ok("program", "instructions: " + here);
}

}  // namespace

Findings check_program(const ProgramFacts& facts) {
  Findings findings;
  if (facts.kill_points) {
    findings.push_back(warn("program", "concordat " + facts.version + ": a test build",
                            "build for production: cmake --preset release"));
  } else {
    findings.push_back(ok("program", "concordat " + facts.version));
  }
  const std::string libraries = facts.mpi + ", " + facts.hdf5 + ", " + facts.crypto;
  if (line_of(facts.hdf5) != line_of(facts.hdf5_built)) {
    findings.push_back(warn(
        "program", libraries + "; built with " + facts.hdf5_built + ", but another one is loaded",
        "load the HDF5 module that the program was built with, or build it "
        "again with this one"));
  } else {
    findings.push_back(ok("program", libraries));
  }
  findings.push_back(instructions_finding(facts.instructions));
  if (facts.bf16) {
    findings.push_back(ok("program", "products multiply in bf16"));
  } else if (facts.precision == "bf16") {
    findings.push_back(warn("program",
                            "train.precision = bf16, but this processor multiplies in fp32 only",
                            "set train.precision = \"fp32\" here: bf16 saves memory and no time"));
  } else {
    findings.push_back(ok("program", "no bf16 products here: bf16 is a format of storage"));
  }
  return findings;
}

}  // namespace concordat::cli::doctor
