// metrics.jsonl: one JSON object per line, the source of truth about a run.
//
//   observe::MetricsWriter metrics(posix_files(), run_folder / "metrics.jsonl", system_clock());
//   metrics.append("step", {{"step", 30}, {"loss", 2.31}, {"tokens_per_s", 81000.0}});
//   // {"event":"step","time":1795500000,"step":30,"loss":2.31,"tokens_per_s":81000}
//
// A line is written with one call; a crash can leave the last line torn, which read_metrics() cuts.
// A restarted run appends; a reader keeps the last line of equal (event, step).
// Threads: one writer per file and thread. Never put text of a data set or a key into a field.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "concordat/core/clock.hpp"
#include "concordat/core/file.hpp"

namespace concordat::observe {

/// A number or a text. Numbers that are not finite are written as null.
class Value {
 public:
  Value(bool value) : value_(value) {}
  Value(int value) : value_(std::int64_t{value}) {}
  Value(std::int64_t value) : value_(value) {}
  Value(std::uint64_t value) : value_(value) {}
  Value(std::uint32_t value) : value_(std::uint64_t{value}) {}
  Value(double value) : value_(value) {}
  Value(float value) : value_(double{value}) {}
  Value(std::string value) : value_(std::move(value)) {}
  Value(const char* value) : value_(std::string(value)) {}
  /// As JSON text.
  std::string json() const;

 private:
  std::variant<bool, std::int64_t, std::uint64_t, double, std::string> value_;
};

using Fields = std::vector<std::pair<std::string, Value>>;

/// `fields` as one JSON object, keys in the order given.
std::string to_json(const Fields& fields);

class MetricsWriter {
 public:
  /// Creates the file or continues at its end (after a newline, if a crash tore the last line).
  MetricsWriter(FileSystem& fs, const FileSystem::Path& path, const Clock& clock);
  void append(std::string_view event, const Fields& fields);
  /// Durable when it returns.
  void sync();

 private:
  std::unique_ptr<File> file_;
  const Clock& clock_;
};

/// The complete lines of a metrics file that are JSON objects, oldest first; empty if there is
/// none.
std::vector<std::string> read_metrics(FileSystem& fs, const FileSystem::Path& path);

}  // namespace concordat::observe
