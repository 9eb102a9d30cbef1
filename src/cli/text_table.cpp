#include "cli/text_table.hpp"

#include <algorithm>
#include <array>
#include <ctime>

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

std::string utc_text(std::int64_t unix_seconds) {
  const auto time = static_cast<std::time_t>(unix_seconds);
  std::tm parts{};
  std::array<char, 32> text{};
  if (::gmtime_r(&time, &parts) == nullptr) return "?";
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts)};
}

}  // namespace concordat::cli
