// One entry of a ledger: a kind, an idempotency key and ordered text fields.
//
//   Entry entry{.kind = "commit", .key = "commit/3.0.0", .fields = {{"exchange", "3.0.0"}}};
//   ledger.append(entry);
//   ledger.append(entry);           // the same index again: nothing is written twice
//
// On disk an entry is one JSON object per line (docs/formats/ledger.md); everything in `fields` is
// text, in the order given, so that the bytes that are hashed have one reading.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace concordat::ledger {

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Entry {
  std::string kind;  ///< one of kinds:: (entries.hpp)
  std::string key;   ///< idempotency key, unique in its ledger
  Fields fields;
  bool operator==(const Entry&) const = default;
  /// The value of a field, or nullptr.
  const std::string* find(std::string_view name) const;
  /// The value of a field. @throws Error(ledger.malformed) naming kind, key and field.
  const std::string& at(std::string_view name) const;
};

/// An entry as it stands in a log: with the place and the time that the ledger gave it.
struct LoggedEntry {
  std::uint64_t index = 0;
  std::int64_t unix_seconds = 0;
  Entry entry;
};

/// The line of an entry without its newline: the bytes whose leaf hash is in the tree.
/// @throws Error(ledger.malformed) for text that is not UTF-8, a duplicate field name, an empty
/// kind or key, or a line above max_line_bytes.
std::string to_line(const LoggedEntry& logged);

/// Strict inverse of to_line: refuses every line that to_line would not have written.
/// @param where file and line for the message. @throws Error(ledger.malformed).
LoggedEntry from_line(std::string_view line, std::string_view where);

inline constexpr std::size_t max_line_bytes = 1U << 20U;

}  // namespace concordat::ledger
