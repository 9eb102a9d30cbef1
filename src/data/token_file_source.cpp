// Token files of llm.c (a header of 256 int32) and nanoGPT (16-bit ids alone). Documents are what
// stands between separators, whether a separator opens or closes a document.
#include <algorithm>

#include "data/document_source.hpp"

namespace concordat::data {
namespace {

using Path = FileSystem::Path;
constexpr std::uint64_t header_bytes = 256 * 4;
constexpr std::size_t piece_bytes = std::size_t{1} << 20U;

struct LlmcKind {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint64_t token_bytes;
  std::uint32_t vocabulary;  // where the options do not say
  std::uint32_t separator;
};
constexpr LlmcKind llmc_kinds[] = {{20240520, 1, 2, 50257, 50256},     // GPT-2
                                   {20240801, 7, 4, 128256, 128000}};  // Llama 3

struct TokenFile {
  Path path;
  std::uint64_t begin = 0;  // of the first token, in bytes
  std::uint64_t end = 0;
  std::uint64_t token_bytes = 2;
};

class TokenFiles final : public DocumentSource {
 public:
  TokenFiles(FileSystem& fs, const IngestOptions& options) : fs_(fs) {
    vocabulary_ = {.kind = std::string(Vocabulary::given), .size = 50257, .separator = 50256};
    const auto paths = source_files(fs, options.source, ".bin", "\".bin\", a file of tokens");
    for (const Path& path : paths) {
      const LlmcKind* kind = nullptr;
      files_.push_back(options.format == SourceFormat::llmc ? open_llmc(path, kind)
                                                            : open_raw(path));
      if (kind == nullptr) continue;
      if (kind_ != nullptr && kind_ != kind) {
        refuse_tokens(path, "two files of one source are of different tokenizers",
                      "magic " + std::to_string(kind->magic), std::to_string(kind_->magic));
      }
      kind_ = kind;
      vocabulary_.size = kind->vocabulary;
      vocabulary_.separator = kind->separator;
    }
    if (options.vocabulary) vocabulary_.size = *options.vocabulary;
    if (options.separator) vocabulary_.separator = *options.separator;
    require_separator(vocabulary_, options.source);
  }

  const Vocabulary& vocabulary() const override { return vocabulary_; }
  std::vector<Token> tokens(Document& document) override { return std::move(document.tokens); }

  bool next(Document& out) override {
    out = {};
    while (file_ < files_.size()) {
      if (ready_.empty() || used_ == ready_.size()) {
        if (!fill()) {  // the end of a file ends its last document
          ++file_;
          open_.reset();
          if (!out.tokens.empty()) return finish(out);
          continue;
        }
      }
      const auto from = ready_.begin() + static_cast<std::ptrdiff_t>(used_);
      const auto stop = std::find(from, ready_.end(), static_cast<Token>(vocabulary_.separator));
      if (out.tokens.empty() && from != stop) {
        out.where = files_[file_].path.string() + ", token " +
                    std::to_string(first_ + static_cast<std::uint64_t>(used_));
      }
      out.tokens.insert(out.tokens.end(), from, stop);
      if (out.tokens.size() > max_document_tokens) {
        refuse_tokens(files_[file_].path, "a document is too long",
                      "more than " + std::to_string(max_document_tokens) + " tokens without the " +
                          "separator " + std::to_string(vocabulary_.separator),
                      "documents that end");
      }
      const bool ended = stop != ready_.end();
      used_ = static_cast<std::size_t>(stop - ready_.begin()) + (ended ? 1 : 0);
      if (ended && !out.tokens.empty()) return finish(out);
    }
    return false;
  }

 private:
  static void require_separator(const Vocabulary& v, const Path& source) {
    if (v.separator < v.size && v.size <= max_vocabulary) return;
    refuse_tokens(source, "the separator is no id of the vocabulary", std::to_string(v.separator),
                  "below " + std::to_string(v.size));
  }
  static bool finish(Document& out) {
    out.content = content_of(out.tokens);
    return true;
  }

  TokenFile open_llmc(const Path& path, const LlmcKind*& kind) {
    auto file = fs_.open(path, OpenMode::read);
    const std::uint64_t size = file->size();
    if (size < header_bytes) {
      refuse_tokens(path, "the file is too short for its header", std::to_string(size) + " bytes",
                    std::to_string(header_bytes));
    }
    Bytes header(header_bytes);
    file->read_at(0, header);
    ByteReader in(header, path.string());
    const std::uint32_t magic = in.u32();
    const std::uint32_t version = in.u32();
    const std::uint32_t count = in.u32();
    for (const LlmcKind& known : llmc_kinds) {
      if (known.magic == magic && known.version == version) kind = &known;
    }
    if (kind == nullptr) {
      refuse_tokens(path, "this is no token file of llm.c",
                    "magic " + std::to_string(magic) + ", version " + std::to_string(version),
                    "20240520, 1 (16 bits) or 20240801, 7 (32 bits)");
    }
    // 32-bit count times 4 fits: the sum cannot wrap.
    if (size != header_bytes + std::uint64_t{count} * kind->token_bytes) {
      refuse_tokens(path, "the file's size does not fit the number of tokens in its header",
                    std::to_string(size) + " bytes",
                    std::to_string(header_bytes + std::uint64_t{count} * kind->token_bytes) +
                        " for " + std::to_string(count) + " tokens");
    }
    return {path, header_bytes, size, kind->token_bytes};
  }
  TokenFile open_raw(const Path& path) {
    const std::uint64_t size = fs_.file_size(path);
    if (size % 2 != 0) {
      refuse_tokens(path, "a file of 16-bit ids has an odd size", std::to_string(size) + " bytes",
                    "a multiple of 2");
    }
    return {path, 0, size, 2};
  }

  /// The next piece of the current file; false at its end.
  bool fill() {
    const TokenFile& file = files_[file_];
    if (!open_) {
      open_ = fs_.open(file.path, OpenMode::read);
      at_ = file.begin;
    }
    if (at_ == file.end) return false;
    bytes_.resize(std::min<std::uint64_t>(piece_bytes, file.end - at_));
    open_->read_at(at_, bytes_);
    first_ = (at_ - file.begin) / file.token_bytes;
    at_ += bytes_.size();
    bytes_read_ += bytes_.size();
    ready_.clear();
    used_ = 0;
    ByteReader in(bytes_, file.path.string());
    while (in.left() > 0) {
      const std::uint32_t id = file.token_bytes == 2 ? in.u16() : in.u32();
      if (id >= vocabulary_.size) {
        refuse_tokens(file.path, "an id is beyond the vocabulary",
                      std::to_string(id) + " at token " + std::to_string(first_ + ready_.size()),
                      "below " + std::to_string(vocabulary_.size));
      }
      ready_.push_back(static_cast<Token>(id));
    }
    return true;
  }

  FileSystem& fs_;
  Vocabulary vocabulary_;
  std::vector<TokenFile> files_;
  const LlmcKind* kind_ = nullptr;
  std::size_t file_ = 0;  // the current one
  std::unique_ptr<File> open_;
  std::uint64_t at_ = 0;
  std::uint64_t first_ = 0;  // token of the file that ready_ begins with
  Bytes bytes_;
  std::vector<Token> ready_;
  std::size_t used_ = 0;
};

}  // namespace

std::unique_ptr<DocumentSource> open_token_files(FileSystem& fs, const IngestOptions& options) {
  return std::make_unique<TokenFiles>(fs, options);
}

}  // namespace concordat::data
