// Classes of code points that tokenizers' patterns use: \p{L}, \p{N} and \s.
#pragma once

namespace concordat::data {

bool is_letter(char32_t point);
bool is_number(char32_t point);
bool is_space(char32_t point);

}  // namespace concordat::data
