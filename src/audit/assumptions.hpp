// What the audit takes for granted; printed with every verdict.
#pragma once

#include <array>
#include <string_view>

namespace concordat::audit {

inline constexpr std::array<std::string_view, 4> assumptions = {
    "The public keys given are the parties' own.",
    "At each site kernel, network policy and clock are honest, and the border is the only road "
    "out.",
    "The coordinator and all sites together did not agree on one false story.",
    "Ledgers prove what was recorded; they cannot prove that a recorded statement was true."};

}  // namespace concordat::audit
