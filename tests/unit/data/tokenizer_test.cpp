#include "concordat/data/tokenizer.hpp"

#include <gtest/gtest.h>

#include "concordat/data/errors.hpp"
#include "support/expect_error.hpp"

namespace concordat::data {
namespace {

Bytes hex(std::string_view text) { return from_hex(text, "test"); }

TEST(Tokenizer, BytesAreTokensAndBack) {
  std::string text = "für, où, ñ\n";
  const auto tokenizer = byte_tokenizer();
  std::vector<Token> tokens = tokenizer->encode(as_bytes(text));
  EXPECT_EQ(tokens.size(), text.size());
  EXPECT_EQ(tokens[0], 'f');
  EXPECT_EQ(to_string(tokenizer->decode(tokens)), text);
  EXPECT_EQ(to_string(tokenizer->decode(std::vector<Token>{'a', separator_token, 'b'})), "a\nb");
  EXPECT_ERROR_SAYS(tokenizer->decode(std::vector<Token>{300}), concordat::errors::malformed,
                    "300");
}

// The boundary cases of Unicode's table of well-formed sequences.
TEST(Tokenizer, WellFormedUtf8IsAccepted) {
  for (const char* good : {"", "00", "7f", "c280", "dfbf", "e0a080", "ed9fbf", "ee8080", "efbfbf",
                           "f0908080", "f48fbfbf"}) {
    EXPECT_EQ(utf8_valid_prefix(hex(good)), hex(good).size()) << good;
    EXPECT_NO_THROW(require_utf8(hex(good), "x"));
  }
}

TEST(Tokenizer, IllFormedUtf8IsRefused) {
  for (const char* bad :
       {"80", "bf", "c0af", "c1bf", "c2", "c241", "e09fbf", "e080", "eda080", "edbfbf", "efbf",
        "e28241", "f08fbfbf", "f4908080", "f5808080", "f09080", "f0908041", "fe", "ff"}) {
    Bytes text = hex(std::string("6162") + bad + "63");
    EXPECT_EQ(utf8_valid_prefix(text), 2U) << bad;
    EXPECT_EQ(utf8_valid_prefix(ByteView(text).first(text.size() - 1)), 2U) << bad;
  }
}

TEST(Tokenizer, TheErrorNamesFileOffsetAndByte) {
  EXPECT_ERROR_SAYS(require_utf8(hex("c3a4c3"), "corpus/ls.txt"), errors::not_utf8,
                    "corpus/ls.txt, byte offset 2");
  EXPECT_ERROR_SAYS(require_utf8(hex("41ff"), "corpus/ls.txt"), errors::not_utf8, "0xff");
}

}  // namespace
}  // namespace concordat::data
