// Tokenizers that come in a file, held to ids that the formats' own libraries gave
// (tests/golden/make_tokenizers.py).
#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>

#include "concordat/data/dataset.hpp"
#include "concordat/data/errors.hpp"
#include "corpus.hpp"
#include "data/word_split.hpp"
#include "support/expect_error.hpp"

namespace concordat::data {
namespace {

const FileSystem::Path golden = FileSystem::Path(CONCORDAT_SOURCE_DIR) / "tests/golden/tokenizers";

void expect_golden(Tokenizer& tokenizer, const std::string& name) {
  std::ifstream in(golden / (name + ".txt"));
  std::string line;
  int cases = 0;
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    std::string hex;
    fields >> hex;
    const Bytes text = hex == "-" ? Bytes{} : from_hex(hex, name);
    std::vector<Token> ids;
    for (Token id = 0; fields >> id;) ids.push_back(id);
    const auto found = tokenizer.encode(text);
    EXPECT_EQ(found, ids) << name << ": " << to_string(text);
    if (tokenizer.vocabulary().kind == Vocabulary::bpe) {
      EXPECT_EQ(tokenizer.decode(found), text);
    }
    ++cases;
  }
  EXPECT_GT(cases, 150);
}

std::string changed(const std::string& name, const std::string& from, const std::string& to) {
  std::string text = read_text(posix_files(), golden / name);
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

class TokenizerFiles : public CorpusTest {
 protected:
  std::unique_ptr<Tokenizer> load(const std::string& text, const std::string& name) {
    const auto path = folder_.path() / name;
    testing_support::overwrite(path, as_bytes(text));
    return load_tokenizer(fs_, path);
  }
};

TEST_F(TokenizerFiles, BpeGivesTheLibrarysIds) {
  for (const char* name : {"gpt2", "llama3"}) {
    auto tokenizer = load_tokenizer(posix_files(), golden / (std::string(name) + ".json"));
    EXPECT_EQ(tokenizer->vocabulary().kind, Vocabulary::bpe);
    EXPECT_EQ(tokenizer->vocabulary().size, 420U);
    EXPECT_EQ(tokenizer->vocabulary().separator, 0U);
    expect_golden(*tokenizer, name);
  }
}

TEST_F(TokenizerFiles, SentencepieceGivesTheLibrarysIds) {
  try {
    auto tokenizer = load_tokenizer(posix_files(), golden / "pieces.model");
    EXPECT_EQ(tokenizer->vocabulary().kind, Vocabulary::sentencepiece);
    EXPECT_EQ(tokenizer->vocabulary().separator, 2U);
    expect_golden(*tokenizer, "pieces");
    const auto tokens = tokenizer->encode(as_bytes("Die Straße führt"));
    EXPECT_EQ(to_string(tokenizer->decode(tokens)), "Die Straße führt");
    EXPECT_ERROR(load("no model", "tokenizer.model"), errors::bad_tokens);
  } catch (const Error& error) {
    if (error.fields().what != "this build has no sentencepiece") throw;
    GTEST_SKIP() << error.fields().what;
  }
}

TEST_F(TokenizerFiles, SpecialTokensNeverComeOutOfText) {
  auto tokenizer = load_tokenizer(posix_files(), golden / "gpt2.json");
  const auto tokens = tokenizer->encode(as_bytes("a<|endoftext|>b"));
  EXPECT_EQ(std::count(tokens.begin(), tokens.end(), 0), 0);
  EXPECT_EQ(to_string(tokenizer->decode(tokens)), "a<|endoftext|>b");
  const Token separator = 0;
  EXPECT_EQ(to_string(tokenizer->decode({&separator, 1})), "\n");
  const Token beyond = 420;
  EXPECT_ERROR(tokenizer->decode({&beyond, 1}), concordat::errors::malformed);
}

TEST_F(TokenizerFiles, WhatIsNotDoneIsRefusedByName) {
  const auto expect = [&](const std::string& from, const std::string& to, const std::string& key,
                          const char* file = "gpt2.json") {
    EXPECT_ERROR_SAYS(load(changed(file, from, to), "tokenizer.json"),
                      errors::unsupported_tokenizer, key);
  };
  expect("\"normalizer\":null", "\"normalizer\":{\"type\":\"NFC\"}", "normalizer");
  expect("\"add_prefix_space\":false", "\"add_prefix_space\":true", "add_prefix_space");
  expect("\"type\":\"ByteLevel\"", "\"type\":\"Metaspace\"", "Metaspace");
  expect("\"type\":\"BPE\"", "\"type\":\"Unigram\"", "model.type");
  expect("\"byte_fallback\":false", "\"byte_fallback\":true", "byte_fallback");
  expect("\"dropout\":null", "\"dropout\":0.1", "dropout");
  expect("{1,3}", "{1,2}", "pre_tokenizer.pattern", "llama3.json");
  expect("\"special\":true", "\"special\":false", "special");
  EXPECT_ERROR_SAYS(load("{}", "tokenizer.txt"), errors::unsupported_tokenizer, ".txt");
}

TEST_F(TokenizerFiles, DamagedFilesAreRefused) {
  EXPECT_ERROR(load("{", "tokenizer.json"), concordat::errors::malformed);
  EXPECT_ERROR(load("{}", "tokenizer.json"), concordat::errors::malformed);
  EXPECT_ERROR_SAYS(load(changed("gpt2.json", "\"!\":1,", ""), "tokenizer.json"),
                    errors::bad_tokens, "a byte has no token");
  EXPECT_ERROR_SAYS(load(changed("gpt2.json", "\"!\":1,", "\"!\":2,"), "tokenizer.json"),
                    errors::bad_tokens, "two tokens have one id");
  EXPECT_ERROR_SAYS(load(changed("gpt2.json", "\"!\":1,", "\"!\":99999999,"), "tokenizer.json"),
                    errors::bad_tokens, "out of range");
}

// Whatever a stranger's file says, loading ends with a refusal or with a tokenizer that is one.
TEST_F(TokenizerFiles, MutatedFilesAreRefusedOrGiveTheTextBack) {
  const std::string text = "It's 3 Öl-Fässer, l'été\n\n  and 日本 more.";
  for (const char* name : {"gpt2.json", "pieces.model"}) {
    const std::string original = read_text(posix_files(), golden / name);
    const bool json = std::string(name).ends_with(".json");
    std::mt19937 random(20261122);
    int refused = 0;
    for (int round = 0; round < 400; ++round) {
      std::string file = original;
      for (int change = 0; change < 3; ++change) {
        const std::size_t at = random() % file.size();
        switch (random() % 3) {
          case 0:
            file[at] = static_cast<char>(random());
            break;
          case 1:
            file.erase(at, 1 + random() % 20);
            break;
          default:
            file.insert(at, 1 + random() % 3, static_cast<char>('0' + random() % 75));
        }
      }
      try {
        auto tokenizer = load(file, json ? "tokenizer.json" : "tokenizer.model");
        const auto tokens = tokenizer->encode(as_bytes(text));
        for (const Token token : tokens) {
          ASSERT_LT(static_cast<std::uint32_t>(token), tokenizer->vocabulary().size);
        }
        const Bytes back = tokenizer->decode(tokens);
        if (json) {
          ASSERT_EQ(to_string(back), text) << round;
        }
      } catch (const Error& error) {
        ASSERT_EQ(error.exit_code(), ExitCode::data) << error.what();
        if (error.fields().what == "this build has no sentencepiece") GTEST_SKIP();
        ++refused;
      }
    }
    EXPECT_GT(refused, 50) << name;
  }
}

TEST_F(TokenizerFiles, IngestKeepsTheTokenizerBesideTheShards) {
  put_many(30);
  IngestOptions o = options();
  o.tokenizer = golden / "gpt2.json";
  const DatasetManifest done = ingest_documents(fs_, o, key_, random_);
  EXPECT_EQ(done.vocabulary.kind, Vocabulary::bpe);
  EXPECT_LT(done.num_tokens(Split::train), done.num_bytes);
  const DatasetManifest loaded = load_manifest(fs_, out_, key_);
  EXPECT_EQ(loaded.vocabulary, done.vocabulary);
  auto tokenizer = tokenizer_of(fs_, out_, loaded);
  EXPECT_EQ(tokenizer->vocabulary(), done.vocabulary);
  auto train = Dataset::open(fs_, out_, key_, Split::train, 1);
  std::vector<Token> tokens(train.num_tokens());
  train.read(0, tokens);
  EXPECT_EQ(to_string(tokenizer->decode(tokens)).substr(0, 9), "Dokument ");
  testing_support::overwrite(out_ / "tokenizer.json",
                             as_bytes(read_text(fs_, golden / "llama3.json")));
  EXPECT_ERROR(tokenizer_of(fs_, out_, loaded), errors::vocabulary_differs);
}

// Longer than the pieces in which texts are cut: the cuts change nothing.
TEST_F(TokenizerFiles, LongTextsAreCutWhereWordsEnd) {
  constexpr int count = 300'000;
  std::string text;
  for (int i = 0; i < count; ++i) text += "ab  cd, e\n\n";
  const std::vector<std::string> words{"ab", " ", " cd", ",", " e", "\n", "\n"};
  std::size_t at = 0;
  split_words(as_bytes(text), WordPattern::gpt2, [&](ByteView word) {
    const bool last = at == words.size() * count - 2;  // nothing follows: both line ends together
    ASSERT_EQ(to_string(word), last ? "\n\n" : words[at % words.size()]) << at;
    ++at;
  });
  EXPECT_EQ(at, words.size() * count - 1);
}

TEST_F(TokenizerFiles, LongWordsTakeNearlyLinearTime) {
  auto tokenizer = load_tokenizer(posix_files(), golden / "gpt2.json");
  const std::string word(200'000, 'a');  // quadratic merging would not end
  EXPECT_EQ(to_string(tokenizer->decode(tokenizer->encode(as_bytes(word)))), word);
}

}  // namespace
}  // namespace concordat::data
