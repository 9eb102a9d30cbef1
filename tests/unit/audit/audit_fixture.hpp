#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include "simulated_run.hpp"

namespace concordat::audit::testing {

class AuditTest : public ::testing::Test {
 protected:
  AuditTest() {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder = std::filesystem::temp_directory_path() /
             ("concordat-audit-" + std::to_string(::getpid()) + "-" + info->name());
  }
  std::filesystem::path folder;
};

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
