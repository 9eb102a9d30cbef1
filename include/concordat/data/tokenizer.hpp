// Byte-level tokens: token b is the byte b, token 256 separates documents.
//
//   require_utf8(text, "corpus/ls.1.txt");          // or Error(not_utf8) with file and offset
//   std::vector<Token> tokens = encode(text);       // without a separator
//   Bytes text_again = decode(tokens);              // separators become newlines
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "concordat/core/bytes.hpp"

namespace concordat::data {

using Token = std::uint16_t;
inline constexpr Token separator_token = 256;
/// Ids are below this; a model may pad its vocabulary beyond it.
inline constexpr std::uint32_t vocabulary_size = 257;

/// Offset of the first byte that is not part of well-formed UTF-8 (overlong forms, surrogates and
/// values above U+10FFFF are not), or text.size().
std::size_t utf8_valid_prefix(ByteView text);
/// @throws Error(not_utf8) naming `where` and the offset and value of the offending byte.
void require_utf8(ByteView text, std::string_view where);

std::vector<Token> encode(ByteView text);
/// @throws Error(malformed) for an id that is no token.
Bytes decode(std::span<const Token> tokens);

}  // namespace concordat::data
