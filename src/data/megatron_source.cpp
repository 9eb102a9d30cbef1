// Megatron's indexed datasets: NAME.bin holds the ids of all sequences, NAME.idx where they are and
// which of them make a document.
#include <algorithm>

#include "concordat/core/error.hpp"
#include "data/document_source.hpp"

namespace concordat::data {
namespace {

using Path = FileSystem::Path;
constexpr std::string_view magic{"MMIDIDX\0\0", 9};
constexpr std::uint64_t header_bytes = 9 + 8 + 1 + 8 + 8;

/// A run of little-endian integers in a file, read through a window.
class Column {
 public:
  Column() = default;
  Column(std::uint64_t begin, std::uint64_t count, std::size_t width)
      : begin_(begin), count_(count), width_(width) {}
  std::uint64_t end() const { return begin_ + count_ * width_; }
  std::int64_t at(File& file, std::uint64_t index) {
    CONCORDAT_REQUIRE(index < count_, std::to_string(index));
    if (index < first_ || index >= first_ + window_.size() / width_) {
      first_ = index;
      window_.resize(std::min<std::uint64_t>(count_ - index, 1U << 15U) * width_);
      file.read_at(begin_ + index * width_, window_);
    }
    ByteReader in(ByteView(window_).subspan((index - first_) * width_, width_), "index");
    return width_ == 4 ? static_cast<std::int32_t>(in.u32()) : in.i64();
  }

 private:
  std::uint64_t begin_ = 0;
  std::uint64_t count_ = 0;
  std::size_t width_ = 8;
  std::uint64_t first_ = 0;
  Bytes window_;
};

std::size_t width_of(std::uint8_t code, const Path& path) {
  switch (code) {
    case 1:
      return 1;  // u8
    case 3:
      return 2;  // i16
    case 8:
      return 2;  // u16
    case 4:
      return 4;  // i32
    case 5:
      return 8;  // i64
    default:
      refuse_tokens(path, "the index has an element type that is none of ids",
                    "code " + std::to_string(code), "1 (u8), 3 (i16), 8 (u16), 4 (i32) or 5 (i64)");
  }
}

/// One pair of files. Everything is checked against the sizes before it is read.
class IndexedFile {
 public:
  IndexedFile(FileSystem& fs, const Path& bin) : bin_path_(bin), idx_path_(bin) {
    idx_path_.replace_extension(".idx");
    index_ = fs.open(idx_path_, OpenMode::read);
    bin_ = fs.open(bin, OpenMode::read);
    read_header();
  }

  /// The ids of document `number`, from its sequences one behind the other.
  bool next(Document& out, const Vocabulary& vocabulary) {
    if (document_ + 1 >= num_boundaries_) return finish();
    const std::int64_t from = documents_.at(*index_, document_);
    const std::int64_t to = documents_.at(*index_, document_ + 1);
    if (from != static_cast<std::int64_t>(sequence_) || to < from ||
        static_cast<std::uint64_t>(to) > num_sequences_) {
      refuse_tokens(
          idx_path_, "a document's sequences are out of order or range",
          std::to_string(from) + " to " + std::to_string(to),
          "from " + std::to_string(sequence_) + ", at most " + std::to_string(num_sequences_));
    }
    out.where = bin_path_.string() + ", document " + std::to_string(document_);
    while (sequence_ < static_cast<std::uint64_t>(to)) read_sequence(out, vocabulary);
    if (!out.tokens.empty() && out.tokens.back() == static_cast<Token>(vocabulary.separator)) {
      out.tokens.pop_back();  // our shards close each document themselves
    }
    out.content = content_of(out.tokens);
    ++document_;
    return true;
  }
  std::uint64_t bytes_read() const { return at_; }

 private:
  void read_header() {
    const std::uint64_t size = index_->size();
    if (size < header_bytes) {
      refuse_tokens(idx_path_, "the index is too short", std::to_string(size) + " bytes",
                    "at least " + std::to_string(header_bytes));
    }
    Bytes header(header_bytes);
    index_->read_at(0, header);
    ByteReader in(header, idx_path_.string());
    if (to_string(in.raw(9)) != magic) {
      refuse_tokens(idx_path_, "this is no index of Megatron", "other first bytes",
                    "MMIDIDX and two zero bytes");
    }
    const std::uint64_t version = in.u64();
    if (version != 1) {
      refuse_tokens(idx_path_, "the index has an unknown version", std::to_string(version), "1");
    }
    code_ = in.u8();
    width_ = width_of(code_, idx_path_);
    num_sequences_ = in.u64();
    num_boundaries_ = in.u64();
    // Bounds before products: forged counts must not wrap into the right size.
    const bool fits = num_sequences_ <= size && num_boundaries_ <= size &&
                      size == header_bytes + 12 * num_sequences_ + 8 * num_boundaries_;
    if (!fits || num_boundaries_ == 0) {
      refuse_tokens(idx_path_, "the index's counts do not fit its size",
                    std::to_string(num_sequences_) + " sequences and " +
                        std::to_string(num_boundaries_) + " boundaries in " + std::to_string(size) +
                        " bytes",
                    "34 + 12 for each sequence + 8 for each boundary");
    }
    lengths_ = Column(header_bytes, num_sequences_, 4);
    pointers_ = Column(lengths_.end(), num_sequences_, 8);
    documents_ = Column(pointers_.end(), num_boundaries_, 8);
  }

  void read_sequence(Document& out, const Vocabulary& vocabulary) {
    const std::int64_t length = lengths_.at(*index_, sequence_);
    const std::int64_t pointer = pointers_.at(*index_, sequence_);
    const std::uint64_t left = bin_->size() - at_;
    if (length < 0 || pointer != static_cast<std::int64_t>(at_) ||
        static_cast<std::uint64_t>(length) > left / width_ ||
        static_cast<std::uint64_t>(length) + out.tokens.size() > max_document_tokens) {
      refuse_tokens(idx_path_, "a sequence is out of order or range",
                    "sequence " + std::to_string(sequence_) + ": " + std::to_string(length) +
                        " ids at byte " + std::to_string(pointer),
                    "at byte " + std::to_string(at_) + ", in the " + std::to_string(left) +
                        " bytes that are left");
    }
    bytes_.resize(static_cast<std::uint64_t>(length) * width_);
    bin_->read_at(at_, bytes_);
    at_ += bytes_.size();
    ++sequence_;
    ByteReader in(bytes_, bin_path_.string());
    while (in.left() > 0) {
      const std::int64_t id = code_ == 1   ? in.u8()
                              : code_ == 3 ? static_cast<std::int16_t>(in.u16())
                              : code_ == 8 ? in.u16()
                              : code_ == 4 ? static_cast<std::int32_t>(in.u32())
                                           : in.i64();
      if (id < 0 || id >= static_cast<std::int64_t>(vocabulary.size)) {
        refuse_tokens(bin_path_, "an id is beyond the vocabulary",
                      std::to_string(id) + " in sequence " + std::to_string(sequence_ - 1),
                      "0 to " + std::to_string(vocabulary.size - 1));
      }
      out.tokens.push_back(static_cast<Token>(id));
    }
  }

  bool finish() const {
    if (sequence_ == num_sequences_ && at_ == bin_->size()) return false;
    refuse_tokens(
        idx_path_, "sequences or bytes belong to no document",
        std::to_string(sequence_) + " sequences, " + std::to_string(at_) + " bytes",
        std::to_string(num_sequences_) + " sequences, " + std::to_string(bin_->size()) + " bytes");
  }

  Path bin_path_, idx_path_;
  std::unique_ptr<File> index_, bin_;
  std::uint8_t code_ = 0;
  std::size_t width_ = 0;
  std::uint64_t num_sequences_ = 0;
  std::uint64_t num_boundaries_ = 0;
  Column lengths_, pointers_, documents_;
  std::uint64_t document_ = 0;
  std::uint64_t sequence_ = 0;
  std::uint64_t at_ = 0;  // bytes of the .bin that documents covered
  Bytes bytes_;
};

class MegatronSource final : public DocumentSource {
 public:
  MegatronSource(FileSystem& fs, const IngestOptions& options) : fs_(fs) {
    if (!options.vocabulary || !options.separator || *options.separator >= *options.vocabulary ||
        *options.vocabulary > max_vocabulary) {
      refuse_tokens(options.source, "Megatron's files do not say what their ids mean",
                    options.vocabulary && options.separator ? "a separator beyond the vocabulary"
                                                            : "no --vocabulary or --separator",
                    "the vocabulary's size and the id that ends a document");
    }
    vocabulary_ = {.kind = std::string(Vocabulary::given),
                   .size = *options.vocabulary,
                   .separator = *options.separator};
    if (fs.is_directory(options.source)) {
      for (const std::string& name : fs.list(options.source)) {
        const Path path = options.source / name;
        if (path.extension() == ".bin") files_.push_back(path);
        if (path.extension() == ".bin" || path.extension() == ".idx") continue;
        refuse_tokens(path, "a source folder holds a file of another kind", name,
                      "pairs of NAME.bin and NAME.idx");
      }
    } else {
      files_.push_back(options.source);
      files_.back().replace_extension(".bin");
    }
    if (files_.empty()) {
      refuse_tokens(options.source, "the source has no documents", "no .bin file",
                    "at least one pair of NAME.bin and NAME.idx");
    }
  }
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  std::vector<Token> tokens(Document& document) override { return std::move(document.tokens); }
  bool next(Document& out) override {
    for (;;) {
      out = {};
      if (!open_) {
        if (file_ == files_.size()) return false;
        open_ = std::make_unique<IndexedFile>(fs_, files_[file_++]);
      }
      const std::uint64_t before = open_->bytes_read();
      if (open_->next(out, vocabulary_)) {
        bytes_read_ += open_->bytes_read() - before;
        return true;
      }
      open_.reset();
    }
  }

 private:
  FileSystem& fs_;
  Vocabulary vocabulary_;
  std::vector<Path> files_;
  std::size_t file_ = 0;
  std::unique_ptr<IndexedFile> open_;
};

}  // namespace

std::unique_ptr<DocumentSource> open_megatron(FileSystem& fs, const IngestOptions& options) {
  return std::make_unique<MegatronSource>(fs, options);
}

}  // namespace concordat::data
