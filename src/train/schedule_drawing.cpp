#include "concordat/train/schedule_drawing.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "concordat/core/error.hpp"

namespace concordat::train {

namespace {

constexpr double kWidest = 24.0;

/// Columns for a unit of time: every name fits into its call, within reason.
double columns_per_time(const ScheduleReport& report) {
  double wanted = 0.0;
  double longest = 0.0;
  for (const auto& stage : report.timeline) {
    for (const TimedCall& timed : stage) {
      const double time = timed.end - timed.begin;
      if (time <= 0.0) continue;
      const auto columns = static_cast<double>(to_string(timed.call).size() + 1);
      wanted = std::max(wanted, columns / time);
      longest = std::max(longest, time);
    }
  }
  return longest > 0.0 ? std::min(wanted, kWidest / longest) : 0.0;
}

class Drawing {
 public:
  explicit Drawing(const ScheduleReport& report) : scale_(columns_per_time(report)) {
    const auto columns = static_cast<std::size_t>(column(report.duration));
    inside_.assign(columns, false);
    for (const auto& stage : report.timeline) lines_.push_back(line(stage, columns));
  }

  std::string panels(std::size_t width) const {
    std::string text;
    const std::size_t columns = inside_.size();
    for (std::size_t begin = 0; begin < columns;) {
      const std::size_t end = columns - begin <= width ? columns : break_before(begin, width);
      char time[32];
      std::snprintf(time, sizeof time, "%g", static_cast<double>(begin) / scale_);
      text += (begin == 0 ? "time " : "\ntime ") + std::string(time) + "\n";
      for (std::size_t stage = 0; stage < lines_.size(); ++stage) {
        text += prefix(stage) + lines_[stage].substr(begin, end - begin) + "\n";
      }
      begin = end;
    }
    return text;
  }

  std::string prefix(std::size_t stage) const {
    const std::size_t digits = std::to_string(lines_.size() - 1).size();
    std::string number = std::to_string(stage);
    return "stage " + std::string(digits - number.size(), ' ') + number + " |";
  }

 private:
  long column(double time) const { return std::lround(time * scale_); }

  std::string line(const std::vector<TimedCall>& calls, std::size_t columns) {
    std::string text(columns, '.');
    for (const TimedCall& timed : calls) {
      const auto begin = static_cast<std::size_t>(column(timed.begin));
      const auto end = static_cast<std::size_t>(column(timed.end));
      std::string name = to_string(timed.call).substr(0, end - begin);
      name.resize(end - begin, ' ');
      text.replace(begin, end - begin, name);
      for (std::size_t at = begin + 1; at < end; ++at) inside_[at] = true;
    }
    // The last column of a wait is blank as that of a call is, so that neighbours stand apart.
    for (std::size_t at = 0; at + 1 < columns; ++at) {
      if (text[at] == '.' && text[at + 1] != '.' && text[at + 1] != ' ' && at > 0 &&
          text[at - 1] == '.') {
        text[at] = ' ';
      }
    }
    return text;
  }

  /// The last column up to begin + width at which no stage is inside a call; else begin + width.
  std::size_t break_before(std::size_t begin, std::size_t width) const {
    for (std::size_t at = begin + width; at > begin + width / 2; --at) {
      if (!inside_[at]) return at;
    }
    return begin + width;
  }

  double scale_;
  std::vector<std::string> lines_;
  std::vector<bool> inside_;  // a call of some stage covers this column and the one before
};

}  // namespace

std::string draw(const ScheduleReport& report, int width) {
  CONCORDAT_REQUIRE(width >= 20, std::to_string(width));
  const Drawing drawing(report);
  const auto prefix = drawing.prefix(0).size();
  return drawing.panels(static_cast<std::size_t>(width) - prefix);
}

}  // namespace concordat::train
