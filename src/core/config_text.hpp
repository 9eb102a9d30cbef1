// Shared by the two halves of configuration: the text of a value, and what a key allows.
#pragma once

#include <string>

#include "concordat/core/config.hpp"

namespace concordat {

/// The value as TOML.
std::string config_text(const ConfigValue& value);

/// What the key accepts, for messages and --help.
std::string config_allowed(const ConfigSchema::Key& key);

}  // namespace concordat
