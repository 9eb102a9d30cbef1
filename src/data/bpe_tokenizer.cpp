// Byte-level BPE from a Hugging Face tokenizer.json.
#include <algorithm>
#include <array>
#include <queue>
#include <tuple>
#include <unordered_map>

#include "concordat/core/json_value.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/data/errors.hpp"
#include "data/tokenizers.hpp"
#include "data/word_split.hpp"

namespace concordat::data {
namespace {

constexpr std::size_t max_cached_words = 1U << 16U;
constexpr std::size_t max_cached_bytes = 256;  // of a word
/// Names of the token that ends a text, in the order of preference.
constexpr std::string_view end_names[] = {"<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>"};

[[noreturn]] void unsupported(const std::string& where, std::string found, std::string expected) {
  throw Error(errors::unsupported_tokenizer,
              {.what = "the tokenizer does something that this program does not do",
               .where = where,
               .found = std::move(found),
               .expected = std::move(expected),
               .remedy = "use a byte-level BPE tokenizer such as GPT-2's or Llama 3's, or ingest "
                         "token files made elsewhere"});
}

/// The code point by which the files write each byte: printable ones as themselves, the rest from
/// U+0100 on.
std::array<std::string, 256> byte_names() {
  std::array<std::string, 256> names;
  unsigned next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
    const unsigned point = printable ? byte : next++;
    if (point < 0x80) {
      names[byte] = std::string(1, static_cast<char>(point));
    } else {
      names[byte] = {static_cast<char>(0xc0U | (point >> 6U)),
                     static_cast<char>(0x80U | (point & 0x3fU))};
    }
  }
  return names;
}

bool is_default(const JsonValue* value) {
  if (value == nullptr || value->is_null()) return true;
  return value->kind() == JsonValue::Kind::text && value->text("").empty();
}

WordPattern read_pre_tokenizer(const JsonValue& root, const std::string& file) {
  const std::string where = file + ": pre_tokenizer";
  const JsonValue& pre = root.at("pre_tokenizer", file);
  if (pre.is_null()) unsupported(where, "none", "ByteLevel, or Split and ByteLevel");
  const auto byte_level = [&](const JsonValue& step, bool with_pattern) {
    if (step.at("type", where).text(where) != "ByteLevel") {
      unsupported(where, step.at("type", where).described(), "\"ByteLevel\"");
    }
    const JsonValue* prefix = step.find("add_prefix_space");
    if (prefix != nullptr && prefix->boolean(where)) {
      unsupported(where + ".add_prefix_space", "true", "false");
    }
    const JsonValue* regex = step.find("use_regex");
    if ((regex == nullptr || regex->boolean(where)) != with_pattern) {
      unsupported(where + ".use_regex", with_pattern ? "false" : "true",
                  with_pattern ? "true" : "false behind a Split");
    }
  };
  if (pre.at("type", where).text(where) != "Sequence") {
    byte_level(pre, true);
    return WordPattern::gpt2;
  }
  const auto& steps = pre.at("pretokenizers", where).list(where);
  if (steps.size() != 2) {
    unsupported(where, std::to_string(steps.size()) + " steps", "Split, then ByteLevel");
  }
  const JsonValue& split = steps[0];
  if (split.at("type", where).text(where) != "Split" ||
      split.at("behavior", where).text(where) != "Isolated" ||
      (split.find("invert") != nullptr && split.find("invert")->boolean(where))) {
    unsupported(where, split.at("type", where).described(), "an isolating Split");
  }
  byte_level(steps[1], false);
  const std::string pattern = split.at("pattern", where).at("Regex", where).text(where);
  if (pattern == gpt2_pattern) return WordPattern::gpt2;
  if (pattern == llama3_pattern) return WordPattern::llama3;
  unsupported(where + ".pattern", json_quoted(pattern), "GPT-2's pattern or Llama 3's");
}

class BpeTokenizer final : public Tokenizer {
 public:
  BpeTokenizer(ByteView file, const std::string& where, std::optional<std::uint32_t> separator) {
    const JsonValue root = JsonValue::parse(to_string(file), where,
                                            {.max_bytes = 100'000'000, .max_values = 8'000'000});
    if (!is_default(root.find("normalizer"))) {
      unsupported(where + ": normalizer", root.find("normalizer")->described(), "null");
    }
    pattern_ = read_pre_tokenizer(root, where);
    const JsonValue& model = root.at("model", where);
    check_model(model, where + ": model");
    read_vocabulary(model.at("vocab", where), where + ": model.vocab");
    read_merges(model.at("merges", where), where + ": merges of the model");
    const JsonValue* ignore = model.find("ignore_merges");
    ignore_merges_ = ignore != nullptr && ignore->boolean(where);
    vocabulary_ = {.kind = std::string(Vocabulary::bpe), .digest = crypto::sha256(file)};
    read_added(root, where, separator);
  }

  const Vocabulary& vocabulary() const override { return vocabulary_; }

  std::vector<Token> encode(ByteView text) override {
    std::vector<Token> out;
    split_words(text, pattern_, [&](ByteView word) {
      const std::string key = to_string(word);
      if (key.size() > max_cached_bytes) {
        const std::vector<Token> ids = encode_word(key);
        out.insert(out.end(), ids.begin(), ids.end());
        return;
      }
      auto known = cache_.find(key);
      if (known == cache_.end()) {
        if (cache_.size() >= max_cached_words) cache_.clear();
        known = cache_.emplace(key, encode_word(key)).first;
      }
      out.insert(out.end(), known->second.begin(), known->second.end());
    });
    return out;
  }

  Bytes decode(std::span<const Token> tokens) override {
    Bytes out;
    for (const Token token : tokens) {
      if (token == static_cast<Token>(vocabulary_.separator)) {
        out.push_back('\n');
        continue;
      }
      const auto found = bytes_of_.find(token);
      if (found == bytes_of_.end()) {
        refuse_id("byte-level BPE tokenizer", token, "an id of the tokenizer's vocabulary");
      }
      out.insert(out.end(), found->second.begin(), found->second.end());
    }
    return out;
  }

 private:
  struct Merge {
    std::uint32_t rank;
    Token merged;
  };
  static std::uint64_t pair_key(Token a, Token b) {
    return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(a)) << 32U) |
           static_cast<std::uint32_t>(b);
  }

  static void check_model(const JsonValue& model, const std::string& where) {
    const JsonValue* type = model.find("type");
    if (type != nullptr && type->text(where) != "BPE") {
      unsupported(where + ".type", type->described(), "\"BPE\"");
    }
    for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
      if (!is_default(model.find(key))) {
        unsupported(where + "." + key, model.find(key)->described(), "null");
      }
    }
    const JsonValue* fallback = model.find("byte_fallback");
    if (fallback != nullptr && fallback->boolean(where)) {
      unsupported(where + ".byte_fallback", "true", "false: all bytes are tokens");
    }
  }

  void read_vocabulary(const JsonValue& vocab, const std::string& where) {
    for (const auto& [name, value] : vocab.members(where)) {
      const std::int64_t id = value.integer(where);
      if (id < 0 || id >= static_cast<std::int64_t>(max_vocabulary)) {
        refuse_tokenizer(where, "an id is out of range", std::to_string(id),
                         "0 to " + std::to_string(max_vocabulary - 1));
      }
      const auto token = static_cast<Token>(id);
      if (!id_of_.emplace(name, token).second || !bytes_of_.emplace(token, Bytes{}).second) {
        refuse_tokenizer(where, "two tokens have one id", std::to_string(id), "each id once");
      }
    }
    std::unordered_map<std::string, std::uint8_t> byte_of;
    const auto names = byte_names();
    for (unsigned byte = 0; byte < 256; ++byte) {
      byte_of[names[byte]] = static_cast<std::uint8_t>(byte);
      const auto found = id_of_.find(names[byte]);
      if (found == id_of_.end()) {
        refuse_tokenizer(where, "a byte has no token", "no " + json_quoted(names[byte]),
                         "a token for each of the 256 bytes");
      }
      id_of_byte_[byte] = found->second;
    }
    for (const auto& [name, token] : id_of_) {
      Bytes& bytes = bytes_of_[token];
      for (std::size_t at = 0; at < name.size();) {
        const std::size_t length = (static_cast<std::uint8_t>(name[at]) & 0x80U) == 0 ? 1 : 2;
        const auto byte = byte_of.find(name.substr(at, length));
        if (byte == byte_of.end()) {  // a special token that stands among the others
          bytes.assign(name.begin(), name.end());
          break;
        }
        bytes.push_back(byte->second);
        at += length;
      }
      whole_.emplace(to_string(bytes), token);
    }
  }

  void read_merges(const JsonValue& merges, const std::string& where) {
    std::uint32_t rank = 0;
    for (const JsonValue& line : merges.list(where)) {
      std::string left;
      std::string right;
      if (line.kind() == JsonValue::Kind::list) {
        const auto& pair = line.list(where);
        if (pair.size() == 2) {
          left = pair[0].text(where);
          right = pair[1].text(where);
        }
      } else {
        const std::string& text = line.text(where);
        const std::size_t space = text.find(' ');
        left = text.substr(0, space);
        right = space == std::string::npos ? "" : text.substr(space + 1);
      }
      const auto a = id_of_.find(left);
      const auto b = id_of_.find(right);
      const auto c = id_of_.find(left + right);
      if (a == id_of_.end() || b == id_of_.end() || c == id_of_.end()) {
        refuse_tokenizer(where, "a merge names what is no token",
                         json_quoted(left) + " and " + json_quoted(right),
                         "tokens of the vocabulary");
      }
      merges_.emplace(pair_key(a->second, b->second), Merge{rank++, c->second});
    }
  }

  void read_added(const JsonValue& root, const std::string& file,
                  std::optional<std::uint32_t> separator) {
    const std::string where = file + ": added_tokens";
    Token last = 0;
    for (const auto& [token, bytes] : bytes_of_) last = std::max(last, token);
    std::unordered_map<std::string, Token> added;
    const JsonValue* list = root.find("added_tokens");
    if (list != nullptr && !list->is_null()) {
      for (const JsonValue& entry : list->list(where)) {
        const std::string& content = entry.at("content", where).text(where);
        const std::int64_t id = entry.at("id", where).integer(where);
        if (id < 0 || id >= static_cast<std::int64_t>(max_vocabulary)) {
          refuse_tokenizer(where, "an id is out of range", std::to_string(id),
                           "0 to " + std::to_string(max_vocabulary - 1));
        }
        const JsonValue* special = entry.find("special");
        if (special == nullptr || !special->boolean(where)) {
          unsupported(where, json_quoted(content) + " with special false", "special tokens alone");
        }
        const Bytes bytes(content.begin(), content.end());
        const auto [known, fresh] = bytes_of_.emplace(static_cast<Token>(id), bytes);
        if (!fresh && known->second != bytes) {
          refuse_tokenizer(where, "two tokens have one id",
                           json_quoted(content) + " at " + std::to_string(id), "each id once");
        }
        added[content] = static_cast<Token>(id);
        whole_.erase(content);  // never from text
        last = std::max(last, static_cast<Token>(id));
      }
    }
    vocabulary_.size = static_cast<std::uint32_t>(last) + 1;
    std::optional<std::uint32_t> end = separator;
    for (const std::string_view name : end_names) {
      const auto found = added.find(std::string(name));
      if (!end && found != added.end()) end = static_cast<std::uint32_t>(found->second);
    }
    if (!end || bytes_of_.count(static_cast<Token>(*end)) == 0) {
      refuse_tokenizer(
          where, "no token ends a text",
          end ? std::to_string(*end) + ", which is no token" : "none of the usual names",
          "<|endoftext|>, <|end_of_text|>, </s> or <eos>, or --separator ID");
    }
    vocabulary_.separator = *end;
  }

  /// Merges the pair of the lowest rank, the leftmost first, until none is left.
  std::vector<Token> encode_word(const std::string& word) {
    if (ignore_merges_) {
      const auto found = whole_.find(word);
      if (found != whole_.end()) return {found->second};
    }
    struct Node {
      Token token;
      std::size_t previous;
      std::size_t next;
    };
    struct Candidate {
      std::uint32_t rank;
      std::size_t left;
      Token a, b;
      bool operator>(const Candidate& o) const {
        return std::tie(rank, left) > std::tie(o.rank, o.left);
      }
    };
    constexpr Token gone = -1;
    const std::size_t end = word.size();
    std::vector<Node> nodes(end);
    for (std::size_t i = 0; i < end; ++i) {
      nodes[i] = {id_of_byte_[static_cast<std::uint8_t>(word[i])], i == 0 ? end : i - 1, i + 1};
    }
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
    const auto offer = [&](std::size_t left) {
      if (left >= end || nodes[left].next >= end) return;
      const Token a = nodes[left].token;
      const Token b = nodes[nodes[left].next].token;
      const auto found = merges_.find(pair_key(a, b));
      if (found != merges_.end()) queue.push({found->second.rank, left, a, b});
    };
    for (std::size_t i = 0; i + 1 < end; ++i) offer(i);
    while (!queue.empty()) {
      const Candidate best = queue.top();
      queue.pop();
      Node& left = nodes[best.left];
      // What has merged since is passed over.
      if (left.token != best.a || left.next >= end || nodes[left.next].token != best.b) continue;
      Node& right = nodes[left.next];
      left.token = merges_.at(pair_key(best.a, best.b)).merged;
      right.token = gone;
      left.next = right.next;
      if (left.next < end) nodes[left.next].previous = best.left;
      offer(best.left);
      offer(left.previous);
    }
    std::vector<Token> out;
    for (std::size_t i = 0; i < end; i = nodes[i].next) out.push_back(nodes[i].token);
    return out;
  }

  Vocabulary vocabulary_;
  WordPattern pattern_ = WordPattern::gpt2;
  bool ignore_merges_ = false;
  std::array<Token, 256> id_of_byte_{};
  std::unordered_map<std::string, Token> id_of_;  // as the file writes them
  std::unordered_map<std::string, Token> whole_;  // by their bytes
  std::unordered_map<Token, Bytes> bytes_of_;
  std::unordered_map<std::uint64_t, Merge> merges_;
  std::unordered_map<std::string, std::vector<Token>> cache_;
};

}  // namespace

std::unique_ptr<Tokenizer> load_bpe(ByteView file, const std::string& where,
                                    std::optional<std::uint32_t> separator) {
  return std::make_unique<BpeTokenizer>(file, where, separator);
}

}  // namespace concordat::data
