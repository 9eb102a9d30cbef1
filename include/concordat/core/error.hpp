// The two roots of exceptions: Bug (ours) and Error (the world's), and their exit codes.
//
//   throw Error(errors::malformed, {.what = "the manifest ends early", .where = "round-3.0.0",
//                                   .found = "12 bytes", .expected = "at least 40",
//                                   .remedy = "fetch it again from the coordinator"});
//
// An area declares its codes in `include/concordat/<area>/errors.hpp`:
//
//   inline constexpr ErrorCode lane_could_wrap{"exact.lane_could_wrap", Severity::process,
//                                              ExitCode::usage};
//
// Libraries throw; they never print, never exit.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace concordat {

/// What an error ends. A function of the code alone.
enum class Severity { request, round, process };

/// Process exit codes (sysexits where one fits).
enum class ExitCode : int {
  done = 0,
  usage = 64,        ///< wrong flags or configuration
  data = 65,         ///< bad data, file, message or checkpoint
  internal = 70,     ///< a bug of ours, or a machine that failed us
  saved = 75,        ///< state saved: run me again
  no_progress = 76,  ///< reserved: hold the job, it does not get further
  refused = 77,      ///< refused by policy
};

/// A stable, documented identity of an error: `area.name`.
struct ErrorCode {
  std::string_view name;
  Severity severity;
  ExitCode exit;
  bool operator==(const ErrorCode& other) const { return name == other.name; }
};

/// The typed fields of an error; empty ones are left out of the message.
struct ErrorFields {
  std::string what{};      ///< one clause: what is wrong
  std::string where{};     ///< file, key, site, rank, message
  std::string found{};     ///< the value found
  std::string expected{};  ///< the value expected
  std::string remedy{};    ///< what the reader can do
};

/// Something outside this program is wrong: input, peer, machine.
class Error : public std::runtime_error {
 public:
  Error(const ErrorCode& code, ErrorFields fields);
  const ErrorCode& code() const noexcept { return code_; }
  const ErrorFields& fields() const noexcept { return fields_; }
  Severity severity() const noexcept { return code_.severity; }
  ExitCode exit_code() const noexcept { return code_.exit; }

 private:
  ErrorCode code_;
  ErrorFields fields_;
};

/// This program is wrong: a broken precondition or an impossible state.
class Bug : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

namespace detail {
[[noreturn]] void throw_bug(const char* expression, const char* file, int line,
                            const std::string& values);
}

/// Checks a precondition in every build. `values` says what the operands were.
#define CONCORDAT_REQUIRE(expression, values)                                                   \
  do {                                                                                          \
    if (!(expression)) ::concordat::detail::throw_bug(#expression, __FILE__, __LINE__, values); \
  } while (false)

/// Codes that every area uses.
namespace errors {
inline constexpr ErrorCode usage{"core.usage", Severity::process, ExitCode::usage};
inline constexpr ErrorCode malformed{"core.malformed", Severity::request, ExitCode::data};
inline constexpr ErrorCode config_unknown_key{"core.config_unknown_key", Severity::process,
                                              ExitCode::usage};
inline constexpr ErrorCode config_bad_value{"core.config_bad_value", Severity::process,
                                            ExitCode::usage};
inline constexpr ErrorCode config_missing_key{"core.config_missing_key", Severity::process,
                                              ExitCode::usage};
inline constexpr ErrorCode io_failed{"core.io_failed", Severity::process, ExitCode::data};
inline constexpr ErrorCode not_found{"core.not_found", Severity::process, ExitCode::data};
inline constexpr ErrorCode already_exists{"core.already_exists", Severity::process, ExitCode::data};
inline constexpr ErrorCode disk_full{"core.disk_full", Severity::process, ExitCode::data};
inline constexpr ErrorCode in_use{"core.in_use", Severity::process, ExitCode::usage};
}  // namespace errors

}  // namespace concordat
