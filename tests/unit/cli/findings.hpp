// What the doctor's tests ask of findings.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "cli/doctor.hpp"

namespace concordat::testing_support {

using cli::doctor::Findings;
using cli::doctor::Level;

inline std::string listing(const Findings& findings) { return cli::doctor::text_of(findings); }

/// A finding of this level whose text or remedy holds both words.
inline testing::AssertionResult has(const Findings& findings, Level level, const std::string& text,
                                    const std::string& remedy = "") {
  for (const auto& finding : findings) {
    if (finding.level == level && finding.text.find(text) != std::string::npos &&
        finding.remedy.find(remedy) != std::string::npos) {
      return testing::AssertionSuccess();
    }
  }
  return testing::AssertionFailure() << "no such finding in\n" << listing(findings);
}

inline testing::AssertionResult all_ok(const Findings& findings) {
  if (findings.empty()) return testing::AssertionFailure() << "no finding at all";
  for (const auto& finding : findings) {
    if (finding.level != Level::ok) return testing::AssertionFailure() << listing(findings);
  }
  return testing::AssertionSuccess();
}

/// Whatever is no good has a remedy.
inline void expect_remedies(const Findings& findings) {
  for (const auto& finding : findings) {
    EXPECT_EQ(finding.remedy.empty(), finding.level == Level::ok) << listing(findings);
  }
}

/// An environment of a test's own.
struct FakeEnvironment {
  std::map<std::string, std::string> values;
  cli::doctor::Environment get() const {
    return [this](const char* name) -> const char* {
      const auto found = values.find(name);
      return found == values.end() ? nullptr : found->second.c_str();
    };
  }
};

}  // namespace concordat::testing_support
