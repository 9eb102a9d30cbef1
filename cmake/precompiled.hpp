// What nearly every file of the project includes, parsed once per build (CONCORDAT_PRECOMPILE).
// Files still include what they use: tests/house compiles each public header alone, without this.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "concordat/core/bytes.hpp"
#include "concordat/core/error.hpp"
#include "concordat/core/file.hpp"
