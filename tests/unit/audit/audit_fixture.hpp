#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "simulated_run.hpp"

namespace concordat::audit::testing {

class AuditTest : public ::testing::Test {
 protected:
  AuditTest() {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder = std::filesystem::temp_directory_path() /
             ("concordat-audit-" + std::to_string(::getpid()) + "-" + info->name());
  }
  ~AuditTest() override { std::filesystem::remove_all(folder); }
  std::filesystem::path folder;
};

inline const SiteId alba{0}, brio{1}, cala{2}, dora{3};

/// What the audit says of a run that is played so, with every ledger signed.
inline AuditReport report_of(const std::filesystem::path& folder, std::uint32_t sites,
                             const std::function<void(SimulatedRun&)>& play,
                             SimulatedRun::Lie lie = {}) {
  SimulatedRun run(folder, std::move(lie), sites);
  play(run);
  run.sign_all();
  return run.audit();
}

inline void set(ledger::Entry& entry, std::string_view field, const std::string& value) {
  for (auto& [name, old] : entry.fields) {
    if (name == field) old = value;
  }
}

/// A lie about one field of the entry with this key in one ledger.
inline SimulatedRun::Lie change(SiteId liar, std::string key, std::string field,
                                std::string value) {
  return [=](SiteId party, ledger::Entry& entry) {
    if (party == liar && entry.key == key) set(entry, field, value);
    return true;
  };
}

inline bool has_note(const AuditReport& report, const std::string& text) {
  return std::ranges::any_of(
      report.notes, [&](const std::string& note) { return note.find(text) != std::string::npos; });
}

/// Whether a failed check of this name points at this party's ledger.
inline bool has_fault(const AuditReport& report, std::string_view check, std::string_view name) {
  for (const ledger::Fault& fault : report.faults) {
    if (fault.check == check && fault.file.find("/" + std::string(name) + "/") != std::string::npos)
      return true;
  }
  return false;
}

inline std::string all_faults(const AuditReport& report) {
  std::string text;
  for (const ledger::Fault& fault : report.faults) text += fault.text() + "\n";
  return text;
}

}  // namespace concordat::audit::testing
