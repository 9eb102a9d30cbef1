// border.json in the run folder: what the site's border is doing, for `concordat status`, for a
// training job that waits, and for people (docs/formats/run-folder.md).
//
//   if (auto page = read_border_page(fs, run_folder)) ... page->text() ...
//
// Nothing is decided by it: it may be old, torn off or missing. Threads: one per file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "concordat/core/file.hpp"

namespace concordat::site {

struct BorderPage {
  std::string site{};
  std::string coordinator{};  ///< HOST:PORT, or what stands for it on other roads
  std::string spool{};        ///< absolute folder of the road spool; empty: another road
  std::uint32_t round = 0;
  std::uint32_t rounds = 0;
  std::string phase{};           ///< federation::SitePhase
  std::int64_t phase_since = 0;  ///< seconds since 1970, UTC; as all times here
  std::int64_t reached = 0;      ///< when the coordinator last answered; 0: not yet
  std::string trouble{};         ///< why it does not answer; empty: it does, or was not asked
  std::int64_t trouble_since = 0;
  std::int64_t updated = 0;
  std::string end{};  ///< empty while it runs; "done", "saved" or an error's code
  bool operator==(const BorderPage&) const = default;

  /// What the border waits for, as a clause: "waits for the other sites' updates".
  std::string text() const;
};

/// Replaces the file atomically.
void write_border_page(FileSystem& fs, const FileSystem::Path& run_folder, const BorderPage& page);
/// nullopt if there is none, or none that can be read.
std::optional<BorderPage> read_border_page(FileSystem& fs, const FileSystem::Path& run_folder);

inline constexpr const char* border_page_name = "border.json";

}  // namespace concordat::site
