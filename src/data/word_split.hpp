// How byte-level BPE cuts text into words before it merges: the two patterns that GPT-2 and Llama 3
// made common, matched by hand. Other patterns are refused by the loader.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "concordat/core/bytes.hpp"

namespace concordat::data {

enum class WordPattern : std::uint8_t { gpt2, llama3 };

inline constexpr std::string_view gpt2_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view llama3_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";

/// Calls `each` with every word; together they are the text. @pre text is UTF-8. Cost: linear;
/// memory for about 1 MiB of text, or for its longest stretch without a line end.
void split_words(ByteView text, WordPattern pattern, const std::function<void(ByteView)>& each);

}  // namespace concordat::data
