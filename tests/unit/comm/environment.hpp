// An environment of a test's own, where the code asks for a variable by name.
#pragma once

#include <map>
#include <string>
#include <utility>

namespace concordat::comm {

inline auto environment(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) -> const char* {
    auto found = values.find(name);
    return found == values.end() ? nullptr : found->second.c_str();
  };
}

}  // namespace concordat::comm
