// The line format of key files: "KEY: VALUE" lines under a title line, closed by a checksum line.
#pragma once

#include <string>
#include <string_view>

#include "concordat/core/bytes.hpp"

namespace concordat::crypto {

/// Reads "KEY: VALUE" lines that must come in the order in which they are asked for.
class KeyText {
 public:
  /// @throws Error(bad_key_file) unless the first line is `title`.
  KeyText(std::string_view text, std::string_view title, std::string_view where);
  /// The value of the next line, whose key must be `key`.
  std::string_view next(std::string_view key);
  /// Everything before the line that next() will read.
  std::string_view before() const { return text_.substr(0, at_); }
  /// @throws Error(bad_key_file) if lines are left.
  void finish() const;
  [[noreturn]] void fail(const std::string& found, const std::string& expected) const;

 private:
  std::string_view text_;
  std::string where_;
  std::size_t at_ = 0;
};

/// First 8 bytes of SHA-256 in hex: notices typing errors and rot, not an attacker.
std::string text_checksum(std::string_view text);

}  // namespace concordat::crypto
