// What `concordat doctor` finds: one line a check, and what to do about it.
//
//   Findings findings;
//   findings.push_back(warn("clock", "the file server is 12 s behind", "synchronise both"));
//   std::cout << text_of(findings);
//   return static_cast<int>(exit_code(findings));
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "concordat/core/bytes.hpp"
#include "concordat/core/error.hpp"

namespace concordat::cli::doctor {

enum class Level { ok, warn, fail };

struct Finding {
  Level level = Level::ok;
  std::string topic;   ///< program, mpi, threads, fabric, files, clock, keys, data, reach, rates
  std::string text;    ///< what was found, on one line
  std::string remedy;  ///< what the reader can do; empty with Level::ok
  std::map<std::string, double> figures{};  ///< what was measured, for --json; units in the names
};
using Findings = std::vector<Finding>;

Finding ok(std::string topic, std::string text);
Finding warn(std::string topic, std::string text, std::string remedy);
Finding fail(std::string topic, std::string text, std::string remedy);
/// An error of a check, with its own remedy unless another is given.
Finding failed(std::string topic, const Error& error, std::string remedy = "");

/// Runs a check that adds findings; what it throws becomes a finding that fails.
void attempt(Findings& findings, std::string_view topic, const std::function<void()>& check);

/// Appends one list to another.
void append(Findings& to, Findings more);

/// A line a finding, an indented line a remedy, and a summary.
std::string text_of(const Findings& findings);
/// The same as JSON: findings, figures, counts, exit code.
std::string json_of(const Findings& findings);
/// For another process of the same program.
Bytes encode(const Findings& findings);
/// @throws Error(core.malformed).
Findings decode_findings(ByteView bytes);
/// `data` (65) if any finding fails, else `done`.
ExitCode exit_code(const Findings& findings);

/// ::getenv in production.
using Environment = std::function<const char*(const char*)>;
std::string value_of(const Environment& environment, const char* name);
const char* from_machine(const char* name);

/// "1 rank", "2 ranks".
std::string counted(std::size_t number, const std::string& what);

/// "1.2 GB/s", "163 GFLOP/s": three digits and a prefix of 1000.
std::string rate_text(double per_second, std::string_view unit);

}  // namespace concordat::cli::doctor
