#include "concordat/data/tokenizer.hpp"

#include <string>

#include "concordat/core/json_value.hpp"
#include "concordat/data/errors.hpp"
#include "data/tokenizers.hpp"

namespace concordat::data {
namespace {

/// Length of the well-formed sequence that begins at `at` (Unicode table 3-7), or 0.
std::size_t sequence_at(ByteView text, std::size_t at) {
  const std::uint8_t lead = text[at];
  std::size_t length = 0;
  std::uint8_t low = 0x80;  // bounds of the second byte: no overlong forms, surrogates, > U+10FFFF
  std::uint8_t high = 0xbf;
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) length = 2;
  if (lead >= 0xe0 && lead <= 0xef) length = 3;
  if (lead >= 0xf0 && lead <= 0xf4) length = 4;
  if (lead == 0xe0) low = 0xa0;
  if (lead == 0xed) high = 0x9f;
  if (lead == 0xf0) low = 0x90;
  if (lead == 0xf4) high = 0x8f;
  if (length == 0 || text.size() - at < length) return 0;
  if (text[at + 1] < low || text[at + 1] > high) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if ((text[at + i] & 0xc0U) != 0x80) return 0;
  }
  return length;
}

class ByteTokenizer final : public Tokenizer {
 public:
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  std::vector<Token> encode(ByteView text) override { return {text.begin(), text.end()}; }
  Bytes decode(std::span<const Token> tokens) override {
    Bytes text;
    text.reserve(tokens.size());
    for (const Token token : tokens) {
      if (token < 0 || token > separator_token) {
        refuse_id("byte-level tokenizer", token, "0 to " + std::to_string(separator_token));
      }
      text.push_back(token == separator_token ? std::uint8_t{'\n'}
                                              : static_cast<std::uint8_t>(token));
    }
    return text;
  }

 private:
  Vocabulary vocabulary_;
};

}  // namespace

std::string Vocabulary::id() const {
  if (kind == bytes) return kind;
  return kind + "-" + std::to_string(size) + "-" + std::to_string(separator) + "-" + digest.hex();
}

std::unique_ptr<Tokenizer> byte_tokenizer() { return std::make_unique<ByteTokenizer>(); }

std::size_t utf8_valid_prefix(ByteView text) {
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t length = sequence_at(text, at);
    if (length == 0) return at;
    at += length;
  }
  return at;
}

void require_utf8(ByteView text, std::string_view where) {
  const std::size_t valid = utf8_valid_prefix(text);
  if (valid == text.size()) return;
  throw Error(errors::not_utf8,
              {.what = "a document is not UTF-8",
               .where = std::string(where) + ", byte offset " + std::to_string(valid),
               .found = "byte 0x" + to_hex(text.subspan(valid, 1)),
               .expected = "a well-formed UTF-8 sequence",
               .remedy = "convert it first (iconv -t UTF-8) or leave it out"});
}

std::unique_ptr<Tokenizer> load_tokenizer(FileSystem& fs, const FileSystem::Path& path,
                                          std::optional<std::uint32_t> separator) {
  constexpr std::uint64_t max_bytes = 100'000'000;
  const Bytes file = read_file(fs, path, max_bytes);
  if (path.extension() == ".json") return load_bpe(file, path.string(), separator);
  if (path.extension() == ".model") return load_sentencepiece(file, path.string(), separator);
  throw Error(errors::unsupported_tokenizer,
              {.what = "a tokenizer's kind is told by its file's name",
               .where = path.string(),
               .found = json_quoted(path.extension().string()),
               .expected = "tokenizer.json (byte-level BPE) or tokenizer.model (sentencepiece)",
               .remedy = "name the file that the model's folder holds"});
}

void refuse_tokenizer(const std::string& where, std::string what, std::string found,
                      std::string expected) {
  throw Error(errors::bad_tokens, {.what = std::move(what),
                                   .where = where,
                                   .found = std::move(found),
                                   .expected = std::move(expected),
                                   .remedy = "get the tokenizer's file again"});
}

void refuse_id(std::string_view tokenizer, Token token, std::string expected) {
  throw Error(concordat::errors::malformed,
              {.what = "an id is no token",
               .where = std::string(tokenizer),
               .found = std::to_string(token),
               .expected = std::move(expected),
               .remedy = "mask the padded part of the vocabulary before sampling"});
}

}  // namespace concordat::data
