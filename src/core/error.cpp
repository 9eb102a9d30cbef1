#include "concordat/core/error.hpp"

namespace concordat {
namespace {

std::string compose(const ErrorCode& code, const ErrorFields& fields) {
  std::string text(code.name);
  text += ": ";
  text += fields.what;
  auto add = [&](const char* label, const std::string& value) {
    if (!value.empty()) text += std::string("; ") + label + ": " + value;
  };
  add("where", fields.where);
  add("found", fields.found);
  add("expected", fields.expected);
  add("remedy", fields.remedy);
  return text;
}

}  // namespace

Error::Error(const ErrorCode& code, ErrorFields fields)
    : std::runtime_error(compose(code, fields)), code_(code), fields_(std::move(fields)) {}

namespace detail {

void throw_bug(const char* expression, const char* file, int line, const std::string& values) {
  throw Bug(std::string("broken precondition ") + expression + " (" + values + ") at " + file +
            ":" + std::to_string(line) + "; this is a defect of concordat, please report it");
}

}  // namespace detail
}  // namespace concordat
