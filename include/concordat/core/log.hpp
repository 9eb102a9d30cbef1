// Plain log lines on standard error. Only programs (`cli`) and long-lived roles log; libraries
// throw or return. Never log a key, a token or an element of a tensor.
//
//   log::set_role("border alba");
//   log::info("round 3 closed, 3 of 3 sites");
#pragma once

#include <string_view>

namespace concordat::log {

enum class Level { debug, info, warn, error };

/// Text before every line, such as "site alba rank 0". Call once at start-up.
void set_role(std::string_view role);
void set_level(Level level);
void debug(std::string_view line);
void info(std::string_view line);
void warn(std::string_view line);
void error(std::string_view line);

}  // namespace concordat::log
