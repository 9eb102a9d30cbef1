#include "concordat/core/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string>

namespace concordat::log {
namespace {

// Leaked on purpose: a log line may be written while statics are being destroyed.
spdlog::logger& logger() {
  static auto* instance = [] {
    auto* made = new spdlog::logger("concordat", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e %L %v");
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *instance;
}

std::string& role() {
  static auto* text = new std::string();
  return *text;
}

void write(spdlog::level::level_enum level, std::string_view line) {
  if (role().empty()) {
    logger().log(level, "{}", line);
  } else {
    logger().log(level, "[{}] {}", role(), line);
  }
}

}  // namespace

void set_role(std::string_view text) { role() = std::string(text); }

void set_level(Level level) {
  constexpr spdlog::level::level_enum levels[] = {spdlog::level::debug, spdlog::level::info,
                                                  spdlog::level::warn, spdlog::level::err};
  logger().set_level(levels[static_cast<int>(level)]);
}

void debug(std::string_view line) { write(spdlog::level::debug, line); }
void info(std::string_view line) { write(spdlog::level::info, line); }
void warn(std::string_view line) { write(spdlog::level::warn, line); }
void error(std::string_view line) { write(spdlog::level::err, line); }

}  // namespace concordat::log
