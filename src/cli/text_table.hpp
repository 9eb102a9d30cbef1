// Plain text for terminals: columns as wide as they need to be.
#pragma once

#include <string>
#include <vector>

namespace concordat::cli {

enum class Align { left, right };

/// Rows under a header, two blanks between columns, no blanks at the ends of lines. Rows may be
/// shorter than the header.
std::string text_table(const std::vector<std::string>& header, const std::vector<Align>& align,
                       const std::vector<std::vector<std::string>>& rows);

}  // namespace concordat::cli
