// Where public test vectors lie, if they do: CONCORDAT_VECTORS, else shared/vectors beside the
// source folder. A plain clone has neither, and tests that need them say so and skip.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>

namespace concordat::testing_support {

inline std::optional<std::filesystem::path> vectors_folder() {
  const char* named = std::getenv("CONCORDAT_VECTORS");
  std::filesystem::path folder =
      named != nullptr
          ? std::filesystem::path(named)
          : std::filesystem::path(CONCORDAT_SOURCE_DIR).parent_path() / "shared/vectors";
  if (std::filesystem::is_directory(folder)) return folder;
  return std::nullopt;
}

}  // namespace concordat::testing_support

#define CONCORDAT_NEED_VECTORS(name)                                                \
  auto name##_found = ::concordat::testing_support::vectors_folder();               \
  if (!name##_found) GTEST_SKIP() << "skipped: no vectors (set CONCORDAT_VECTORS)"; \
  const std::filesystem::path& name = *name##_found
