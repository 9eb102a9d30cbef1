// Tokenizers: text to ids and back. Byte-level without any file; byte-level BPE from a Hugging Face
// tokenizer.json; sentencepiece from a tokenizer.model.
//
//   require_utf8(text, "corpus/ls.1.txt");          // or Error(not_utf8) with file and offset
//   auto tokenizer = load_tokenizer(fs, "llama/tokenizer.json");
//   std::vector<Token> tokens = tokenizer->encode(text);     // without a separator
//   Bytes text_again = tokenizer->decode(tokens);            // separators become newlines
//   tokenizer->vocabulary().separator;                       // what ends a document
//
// Ids of special tokens never come out of text: a document that spells "<|endoftext|>" is encoded
// as those letters, so that no text can end its own document. Threads: one at a time per object.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "concordat/core/bytes.hpp"
#include "concordat/core/file.hpp"

namespace concordat::data {

using Token = std::int32_t;
inline constexpr Token separator_token = 256;
/// Ids of the byte-level tokenizer are below this; a model may pad its vocabulary beyond it.
inline constexpr std::uint32_t vocabulary_size = 257;
inline constexpr std::uint32_t max_vocabulary = 1U << 24U;

/// What ids mean. Two datasets of one vocabulary can train one model.
struct Vocabulary {
  static constexpr std::string_view bytes = "bytes";
  static constexpr std::string_view bpe = "bpe";
  static constexpr std::string_view sentencepiece = "sentencepiece";
  static constexpr std::string_view given = "given";  ///< ids of a tokenizer that is not known

  std::string kind{bytes};
  std::uint32_t size = vocabulary_size;       ///< ids are below it
  std::uint32_t separator = separator_token;  ///< follows each document
  Digest digest{};                            ///< SHA-256 of the tokenizer's file; or zero
  std::uint32_t token_bytes() const { return size <= 65536 ? 2 : 4; }
  /// "bytes", or kind, size, separator and digest with dashes: what a run agrees on.
  std::string id() const;
  bool operator==(const Vocabulary&) const = default;
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual const Vocabulary& vocabulary() const = 0;
  /// @pre text is UTF-8.
  virtual std::vector<Token> encode(ByteView text) = 0;
  /// @throws Error(malformed) for an id that is no token.
  virtual Bytes decode(std::span<const Token> tokens) = 0;
};

std::unique_ptr<Tokenizer> byte_tokenizer();
/// By the file's name: *.json is byte-level BPE, *.model sentencepiece. `separator` overrides the
/// end-of-text token that the file names.
/// @throws Error(unsupported_tokenizer | bad_tokens | not_found) naming file and key.
std::unique_ptr<Tokenizer> load_tokenizer(FileSystem& fs, const FileSystem::Path& path,
                                          std::optional<std::uint32_t> separator = {});

/// Offset of the first byte that is not part of well-formed UTF-8 (overlong forms, surrogates and
/// values above U+10FFFF are not), or text.size().
std::size_t utf8_valid_prefix(ByteView text);
/// @throws Error(not_utf8) naming `where` and the offset and value of the offending byte.
void require_utf8(ByteView text, std::string_view where);

}  // namespace concordat::data
