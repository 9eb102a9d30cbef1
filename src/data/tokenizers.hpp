// The kinds of tokenizers that come in a file, and the refusals that they share.
#pragma once

#include "concordat/data/tokenizer.hpp"

namespace concordat::data {

std::unique_ptr<Tokenizer> load_bpe(ByteView file, const std::string& where,
                                    std::optional<std::uint32_t> separator);
/// In a build without the library: Error(unsupported_tokenizer) that says so.
std::unique_ptr<Tokenizer> load_sentencepiece(ByteView file, const std::string& where,
                                              std::optional<std::uint32_t> separator);

/// A tokenizer's file is not what it should be: Error(bad_tokens).
[[noreturn]] void refuse_tokenizer(const std::string& where, std::string what, std::string found,
                                   std::string expected);
/// An id to decode that is no token: Error(malformed).
[[noreturn]] void refuse_id(std::string_view tokenizer, Token token, std::string expected);

}  // namespace concordat::data
