#include "crypto/key_text.hpp"

#include "concordat/crypto/errors.hpp"
#include "concordat/crypto/hash.hpp"

namespace concordat::crypto {

KeyText::KeyText(std::string_view text, std::string_view title, std::string_view where)
    : text_(text), where_(where) {
  std::string first = std::string(title) + "\n";
  if (!text_.starts_with(first)) {
    fail("another first line", "\"" + std::string(title) + "\"");
  }
  at_ = first.size();
}

std::string_view KeyText::next(std::string_view key) {
  std::size_t end = text_.find('\n', at_);
  std::string prefix = std::string(key) + ": ";
  // Values are never echoed: the line could hold a private key.
  if (end == std::string_view::npos || !text_.substr(at_, end - at_).starts_with(prefix)) {
    fail("another line, or the end, at byte " + std::to_string(at_), "\"" + prefix + "...\"");
  }
  std::string_view value = text_.substr(at_ + prefix.size(), end - at_ - prefix.size());
  at_ = end + 1;
  return value;
}

void KeyText::finish() const {
  if (at_ != text_.size()) {
    fail(std::to_string(text_.size() - at_) + " bytes after the last line", "nothing more");
  }
}

void KeyText::fail(const std::string& found, const std::string& expected) const {
  throw Error(errors::bad_key_file, {.what = "a key file is damaged or is none",
                                     .where = where_,
                                     .found = found,
                                     .expected = expected,
                                     .remedy = "restore it from a backup; do not edit key files"});
}

std::string text_checksum(std::string_view text) {
  return sha256(as_bytes(text)).hex().substr(0, 16);
}

}  // namespace concordat::crypto
