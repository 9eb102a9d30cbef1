// Counts checks by name and keeps the ones that fail, with the line a person opens to see it.
#pragma once

#include <string>
#include <string_view>

#include "concordat/audit/audit.hpp"

namespace concordat::audit {

/// A line of a ledger: `line` is 1-based, 0 means the whole file.
struct Place {
  std::string_view file;
  std::uint64_t line = 0;
  std::string text() const { return std::string(file) + ":" + std::to_string(line); }
};

class Findings {
 public:
  explicit Findings(AuditReport& report) : report_(report) {}

  /// Counts one check; `detail()` is only asked for its text if the check fails.
  template <typename Detail>
  bool check(std::string_view name, bool holds, const Place& place, Detail detail) {
    CheckCount& count = report_.checks[std::string(name)];
    ++count.done;
    if (!holds) {
      ++count.failed;
      report_.faults.push_back({std::string(name), std::string(place.file), place.line, detail()});
    }
    return holds;
  }
  /// Faults that the reading of a log found, among `num_checked` things it looked at.
  void add(std::string_view name, std::uint64_t num_checked,
           const std::vector<ledger::Fault>& faults);
  void note(std::string_view text) { report_.notes.emplace_back(text); }

 private:
  AuditReport& report_;
};

}  // namespace concordat::audit
