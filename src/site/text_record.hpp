// TextRecord: the `key = value` text files of the run folder.
//
//   TextWriter out("concordat commit 1");
//   out.add("try", nonce);
//   write_atomically(fs, path, as_bytes(out.text()));
//
//   TextRecord in(read_text(fs, path), "concordat commit 1", path.string());
//   std::string nonce = in.text("try");
//   for (...) in.text("block");            // repeated keys come in order
//   in.finish();                           // unknown or left-over lines are errors
//
// Every line must be read once and in the order in which it was written: one form per content.
// Failure: Error(site.bad_run_file) naming file, line, the key found and the key expected.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "concordat/core/bytes.hpp"

namespace concordat::site {

class TextWriter {
 public:
  explicit TextWriter(std::string_view title) : text_(std::string(title) + "\n") {}
  void add(std::string_view key, std::string_view value);
  void add(std::string_view key, std::uint64_t value) { add(key, std::to_string(value)); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

class TextRecord {
 public:
  TextRecord(std::string text, std::string_view title, std::string where);
  /// The value of the next line, whose key must be `key`.
  std::string text(std::string_view key);
  /// @throws Error(site.bad_run_file) unless a decimal number up to `max`.
  std::uint64_t number(std::string_view key, std::uint64_t max);
  Digest digest(std::string_view key);
  /// @throws Error(site.bad_run_file) if lines are left.
  void finish() const;
  /// For checks of the caller's own: an error at the line that was read last.
  [[noreturn]] void refuse(std::string_view what, std::string_view found,
                           std::string_view expected) const;

 private:
  std::string next_line();
  std::string text_;
  std::string where_;
  std::size_t at_ = 0;
  int line_ = 0;
};

}  // namespace concordat::site
