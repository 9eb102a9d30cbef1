// Text rules of the log: UTF-8, JSON escapes in their one permitted form, decimal numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace concordat::ledger {

bool is_utf8(std::string_view text);

/// Appends `text` as a JSON string: `"` and `\` with a backslash, bytes below 0x20 as \u00xx.
void append_json_string(std::string& out, std::string_view text);

/// Decimal digits without sign or leading zero; nullopt for anything else or above 2^64 - 1.
std::optional<std::uint64_t> parse_decimal(std::string_view text);

}  // namespace concordat::ledger
