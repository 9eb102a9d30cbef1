#include "concordat/observe/prometheus.hpp"

#include <charconv>
#include <cmath>

#include "concordat/core/error.hpp"

namespace concordat::observe {
namespace {

bool is_name(const std::string& text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  for (char each : text) {
    const bool letter = (each >= 'a' && each <= 'z') || (each >= 'A' && each <= 'Z');
    const bool digit = each >= '0' && each <= '9';
    if (!letter && !digit && each != '_') return false;
  }
  return true;
}

std::string escaped(const std::string& text, bool quotes) {
  std::string out;
  for (char each : text) {
    if (each == '\n') {
      out += "\\n";
    } else {
      if (each == '\\' || (quotes && each == '"')) out += '\\';
      out += each;
    }
  }
  return out;
}

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char text[40];
  auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

}  // namespace

void PrometheusFile::set(const std::string& name, const std::string& help, const Labels& labels,
                         double value) {
  CONCORDAT_REQUIRE(is_name(name), name);
  std::string key;
  for (const auto& [label, content] : labels) {
    CONCORDAT_REQUIRE(is_name(label), label);
    key += key.empty() ? "{" : ",";
    key += label + "=\"" + escaped(content, true) + "\"";
  }
  if (!key.empty()) key += "}";
  Family& family = families_[name];
  family.help = help;
  family.samples[key] = value;
}

std::string PrometheusFile::text() const {
  std::string out;
  for (const auto& [name, family] : families_) {
    out += "# HELP " + name + " " + escaped(family.help, false) + "\n";
    out += "# TYPE " + name + " gauge\n";
    for (const auto& [labels, value] : family.samples) {
      out += name + labels + " " + number(value) + "\n";
    }
  }
  return out;
}

void PrometheusFile::write() { write_atomically(fs_, path_, as_bytes(text())); }

}  // namespace concordat::observe
