#include "cli/text_table.hpp"

#include <algorithm>

#include "concordat/core/error.hpp"

namespace concordat::cli {

std::string text_table(const std::vector<std::string>& header, const std::vector<Align>& align,
                       const std::vector<std::vector<std::string>>& rows) {
  CONCORDAT_REQUIRE(align.size() == header.size(), std::to_string(align.size()));
  std::vector<std::size_t> widths(header.size(), 0);
  const auto widen = [&](const std::vector<std::string>& row) {
    for (std::size_t i = 0; i < row.size(); ++i) widths.at(i) = std::max(widths[i], row[i].size());
  };
  widen(header);
  for (const auto& row : rows) widen(row);
  std::string text;
  const auto line = [&](const std::vector<std::string>& row) {
    std::string one;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string blanks(widths[i] - row[i].size(), ' ');
      one += (i > 0 ? "  " : "") + (align[i] == Align::right ? blanks + row[i] : row[i] + blanks);
    }
    one.erase(one.find_last_not_of(' ') + 1);
    text += one + "\n";
  };
  line(header);
  for (const auto& row : rows) line(row);
  return text;
}

}  // namespace concordat::cli
