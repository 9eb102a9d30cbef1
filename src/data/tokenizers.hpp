// The kinds of tokenizers that come in a file.
#pragma once

#include "concordat/data/tokenizer.hpp"

namespace concordat::data {

std::unique_ptr<Tokenizer> load_bpe(ByteView file, const std::string& where,
                                    std::optional<std::uint32_t> separator);
/// In a build without the library: Error(unsupported_tokenizer) that says so.
std::unique_ptr<Tokenizer> load_sentencepiece(ByteView file, const std::string& where,
                                              std::optional<std::uint32_t> separator);

}  // namespace concordat::data
