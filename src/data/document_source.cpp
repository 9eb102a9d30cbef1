#include "data/document_source.hpp"

#include "concordat/core/json_value.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/data/errors.hpp"

namespace concordat::data {
namespace {

using Path = FileSystem::Path;
constexpr std::uint64_t max_document_bytes = 256U << 20U;
constexpr int max_depth = 32;  // a loop of links ends here

void collect(FileSystem& fs, const Path& folder, int depth, std::string_view ending,
             std::string_view expected, std::vector<Path>& out) {
  for (const std::string& name : fs.list(folder)) {
    Path path = folder / name;
    if (fs.is_directory(path)) {
      if (depth == max_depth) {
        throw Error(errors::unknown_source, {.what = "a source folder is nested too deeply",
                                             .where = path.string(),
                                             .found = "more than 32 levels",
                                             .expected = "folders without loops of links",
                                             .remedy = "remove the loop"});
      }
      collect(fs, path, depth + 1, ending, expected, out);
    } else if (path.extension() == ending) {
      out.push_back(path);
    } else {
      // Passing over it in silence would lose documents that somebody meant to train on.
      throw Error(errors::unknown_source, {.what = "a source folder holds a file of another kind",
                                           .where = path.string(),
                                           .found = json_quoted(path.extension().string()),
                                           .expected = std::string(expected),
                                           .remedy = "convert it or move it away"});
    }
  }
}

class TextSource final : public DocumentSource {
 public:
  TextSource(FileSystem& fs, const IngestOptions& options)
      : fs_(fs),
        tokenizer_(options.tokenizer.empty()
                       ? byte_tokenizer()
                       : load_tokenizer(fs, options.tokenizer, options.separator)),
        files_(source_files(fs, options.source, ".txt", "\".txt\", UTF-8, one document each")) {}

  const Vocabulary& vocabulary() const override { return tokenizer_->vocabulary(); }

  bool next(Document& out) override {
    if (next_ == files_.size()) return false;
    const Path& path = files_[next_++];
    out = {.where = path.string(), .text = read_file(fs_, path, max_document_bytes)};
    require_utf8(out.text, out.where);
    out.content = crypto::sha256(out.text);
    bytes_read_ += out.text.size();
    return true;
  }
  std::vector<Token> tokens(Document& document) override {
    return tokenizer_->encode(document.text);
  }

 private:
  FileSystem& fs_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::vector<Path> files_;
  std::size_t next_ = 0;
};

}  // namespace

std::vector<Path> source_files(FileSystem& fs, const Path& folder, std::string_view ending,
                               std::string_view expected) {
  std::vector<Path> files;
  if (fs.exists(folder) && !fs.is_directory(folder) && ending != ".txt") {
    files.push_back(folder);
  } else {
    collect(fs, folder, 0, ending, expected, files);
  }
  if (files.empty()) {
    throw Error(errors::empty_corpus,
                {.what = "the source has no documents",
                 .where = folder.string(),
                 .found = fs.exists(folder) ? "a folder without " + std::string(ending) + " files"
                                            : "no folder",
                 .expected = "at least one " + std::string(ending) + " file",
                 .remedy = "name the folder that holds the documents"});
  }
  return files;
}

std::unique_ptr<DocumentSource> open_source(FileSystem& fs, const IngestOptions& options) {
  switch (options.format) {
    case SourceFormat::text:
      return std::make_unique<TextSource>(fs, options);
    case SourceFormat::llmc:
    case SourceFormat::nanogpt:
      return open_token_files(fs, options);
    case SourceFormat::megatron:
      return open_megatron(fs, options);
  }
  throw Bug("a source format without a reader");
}

Digest content_of(std::span<const Token> tokens) {
  crypto::Sha256 hash;
  Bytes bytes;
  for (const Token token : tokens) {
    for (int shift = 0; shift < 32; shift += 8) {
      bytes.push_back(static_cast<std::uint8_t>(static_cast<std::uint32_t>(token) >> shift));
    }
    if (bytes.size() < (1U << 16U)) continue;
    hash.update(bytes);
    bytes.clear();
  }
  return hash.update(bytes).finish();
}

void refuse_tokens(const Path& path, std::string what, std::string found, std::string expected) {
  throw Error(errors::bad_tokens, {.what = std::move(what),
                                   .where = path.string(),
                                   .found = std::move(found),
                                   .expected = std::move(expected),
                                   .remedy = "make the file again, or give the options that it "
                                             "was made with"});
}

}  // namespace concordat::data
