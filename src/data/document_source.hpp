// DocumentSource: where ingest gets documents from, one at a time.
#pragma once

#include <functional>
#include <memory>

#include "concordat/data/ingest.hpp"

namespace concordat::data {

struct Document {
  std::string where{};          ///< for messages
  Bytes text{};                 ///< of a text source
  std::vector<Token> tokens{};  ///< of a token source, without separators
  Digest content{};             ///< SHA-256 of the text, or of the tokens as u32
  bool empty() const { return text.empty() && tokens.empty(); }
};

class DocumentSource {
 public:
  virtual ~DocumentSource() = default;
  virtual const Vocabulary& vocabulary() const = 0;
  /// False at the end.
  virtual bool next(Document& out) = 0;
  /// The document's tokens; asked for only when the document is kept.
  virtual std::vector<Token> tokens(Document& document) = 0;
  std::uint64_t bytes_read() const { return bytes_read_; }

 protected:
  std::uint64_t bytes_read_ = 0;
};

/// Of the kind that the options ask for.
/// @throws Error(empty_corpus | unknown_source | bad_tokens).
std::unique_ptr<DocumentSource> open_source(FileSystem& fs, const IngestOptions& options);

/// Files below `folder` (or the file itself) in the order of their paths; another ending than
/// `ending` is refused.
std::vector<FileSystem::Path> source_files(FileSystem& fs, const FileSystem::Path& folder,
                                           std::string_view ending, std::string_view expected);

std::unique_ptr<DocumentSource> open_token_files(FileSystem& fs, const IngestOptions& options);
std::unique_ptr<DocumentSource> open_megatron(FileSystem& fs, const IngestOptions& options);

/// SHA-256 over the tokens as little-endian u32.
Digest content_of(std::span<const Token> tokens);
/// @throws Error(bad_tokens), all fields filled.
[[noreturn]] void refuse_tokens(const FileSystem::Path& path, std::string what, std::string found,
                                std::string expected);
inline constexpr std::uint64_t max_document_tokens = 64U << 20U;

}  // namespace concordat::data
