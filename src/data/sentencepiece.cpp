// sentencepiece tokenizers (tokenizer.model) through the distribution's library.
#include <sentencepiece_processor.h>

#include "concordat/crypto/hash.hpp"
#include "concordat/data/errors.hpp"
#include "data/tokenizers.hpp"

namespace concordat::data {
namespace {

class Pieces final : public Tokenizer {
 public:
  Pieces(ByteView file, std::string where, std::optional<std::uint32_t> separator)
      : where_(std::move(where)) {
    const auto status = processor_.LoadFromSerializedProto(to_string(file));
    if (!status.ok()) {
      refuse_tokenizer(where_, "this is no sentencepiece model", std::string(status.ToString()),
                       "a tokenizer.model file");
    }
    const int size = processor_.GetPieceSize();
    const std::int64_t end = separator ? std::int64_t{*separator} : processor_.eos_id();
    if (size < 2 || static_cast<std::uint32_t>(size) > max_vocabulary || end < 0 || end >= size) {
      refuse_tokenizer(where_, "no piece ends a text",
                       "end " + std::to_string(end) + " of " + std::to_string(size) + " pieces",
                       "a model with </s>, or --separator ID");
    }
    vocabulary_ = {.kind = std::string(Vocabulary::sentencepiece),
                   .size = static_cast<std::uint32_t>(size),
                   .separator = static_cast<std::uint32_t>(end),
                   .digest = crypto::sha256(file)};
  }

  const Vocabulary& vocabulary() const override { return vocabulary_; }

  std::vector<Token> encode(ByteView text) override {
    std::vector<int> ids;
    const auto status = processor_.Encode(to_string(text), &ids);
    if (!status.ok()) {
      refuse_tokenizer(where_, "the library could not encode a text",
                       std::string(status.ToString()), "ids");
    }
    return {ids.begin(), ids.end()};
  }

  Bytes decode(std::span<const Token> tokens) override {
    std::vector<int> ids;
    std::string out;
    const auto flush = [&] {
      std::string text;
      const auto status = processor_.Decode(ids, &text);
      if (!status.ok()) {
        refuse_tokenizer(where_, "the library could not decode ids", std::string(status.ToString()),
                         "text");
      }
      out += text;
      ids.clear();
    };
    for (const Token token : tokens) {
      if (token < 0 || static_cast<std::uint32_t>(token) >= vocabulary_.size) {
        refuse_id("sentencepiece tokenizer", token, "below " + std::to_string(vocabulary_.size));
      }
      if (token == static_cast<Token>(vocabulary_.separator)) {
        flush();
        out += '\n';
      } else {
        ids.push_back(token);
      }
    }
    flush();
    return {out.begin(), out.end()};
  }

 private:
  std::string where_;
  sentencepiece::SentencePieceProcessor processor_;
  Vocabulary vocabulary_;
};

}  // namespace

std::unique_ptr<Tokenizer> load_sentencepiece(ByteView file, const std::string& where,
                                              std::optional<std::uint32_t> separator) {
  return std::make_unique<Pieces>(file, where, separator);
}

}  // namespace concordat::data
