#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include "cli/doctor.hpp"
#include "concordat/core/json_value.hpp"

namespace concordat::cli::doctor {
namespace {

const char* name_of(Level level) {
  if (level == Level::fail) return "FAIL";
  return level == Level::warn ? "warn" : "ok";
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size() + 1), ' ');
  return text;
}

/// Errors of libraries may hold line ends; a finding is one line.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return text;
}

std::int64_t count(const Findings& findings, Level level) {
  return std::count_if(findings.begin(), findings.end(),
                       [&](const Finding& finding) { return finding.level == level; });
}

}  // namespace

Finding ok(std::string topic, std::string text) {
  return {Level::ok, std::move(topic), std::move(text), {}, {}};
}

Finding warn(std::string topic, std::string text, std::string remedy) {
  return {Level::warn, std::move(topic), std::move(text), std::move(remedy), {}};
}

Finding fail(std::string topic, std::string text, std::string remedy) {
  return {Level::fail, std::move(topic), std::move(text), std::move(remedy), {}};
}

Finding failed(std::string topic, const Error& error, std::string remedy) {
  const ErrorFields& fields = error.fields();
  std::string text = fields.what;
  if (!fields.where.empty()) text += " (" + fields.where + ")";
  if (!fields.found.empty()) text += ": " + fields.found;
  if (!fields.expected.empty()) text += ", expected " + fields.expected;
  if (remedy.empty()) remedy = fields.remedy;
  return fail(std::move(topic), std::move(text), std::move(remedy));
}

const char* from_machine(const char* name) { return std::getenv(name); }

std::string counted(std::size_t number, const std::string& what) {
  return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
}

void attempt(Findings& findings, std::string_view topic, const std::function<void()>& check) {
  try {
    check();
  } catch (const Error& error) {
    findings.push_back(failed(std::string(topic), error));
  } catch (const std::exception& error) {
    findings.push_back(fail(std::string(topic), error.what(),
                            "see the findings above; if they are all well, report this line"));
  }
}

void append(Findings& to, Findings more) {
  std::move(more.begin(), more.end(), std::back_inserter(to));
}

std::string text_of(const Findings& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    text += padded(name_of(finding.level), 6) + padded(finding.topic, 9) + one_line(finding.text) +
            "\n";
    if (finding.remedy.empty()) continue;
    text += padded("", 15) + "remedy: " + one_line(finding.remedy) + "\n";
  }
  return text + "doctor: " + std::to_string(findings.size()) + " findings, " +
         std::to_string(count(findings, Level::fail)) + " FAIL, " +
         std::to_string(count(findings, Level::warn)) + " warn\n";
}

std::string json_of(const Findings& findings) {
  std::vector<JsonValue> list;
  for (const Finding& finding : findings) {
    JsonValue figures = JsonValue::object();
    for (const auto& [name, value] : finding.figures) {
      // Figures are counts, bytes and rates: whole numbers keep all that matters of them.
      figures.add(name, static_cast<std::int64_t>(value));
    }
    JsonValue entry = JsonValue::object();
    entry.add("level", name_of(finding.level))
        .add("topic", finding.topic)
        .add("text", one_line(finding.text))
        .add("remedy", one_line(finding.remedy))
        .add("figures", std::move(figures));
    list.push_back(std::move(entry));
  }
  JsonValue page = JsonValue::object();
  page.add("format", "concordat-doctor-1")
      .add("findings", std::move(list))
      .add("fail", count(findings, Level::fail))
      .add("warn", count(findings, Level::warn))
      .add("exit", static_cast<int>(exit_code(findings)));
  return page.document(JsonValue::NotUtf8::replace);
}

Bytes encode(const Findings& findings) {
  ByteWriter out;
  for (const Finding& finding : findings) {
    out.u32(static_cast<std::uint32_t>(finding.level));
    out.sized(finding.topic);
    out.sized(finding.text);
    out.sized(finding.remedy);
    out.u32(static_cast<std::uint32_t>(finding.figures.size()));
    for (const auto& [name, value] : finding.figures) {
      out.sized(name);
      out.f64(value);
    }
  }
  return std::move(out).bytes();
}

Findings decode_findings(ByteView bytes) {
  constexpr std::size_t longest = 1U << 16U;
  ByteReader in(bytes, "findings of another process");
  Findings findings;
  while (in.left() > 0) {
    Finding finding;
    finding.level = static_cast<Level>(in.u32());
    finding.topic = in.sized_string(longest);
    finding.text = in.sized_string(longest);
    finding.remedy = in.sized_string(longest);
    for (std::uint32_t left = in.u32(); left > 0; --left) {
      const std::string name = in.sized_string(longest);
      finding.figures[name] = in.f64();
    }
    findings.push_back(std::move(finding));
  }
  return findings;
}

ExitCode exit_code(const Findings& findings) {
  return count(findings, Level::fail) > 0 ? ExitCode::data : ExitCode::done;
}

std::string value_of(const Environment& environment, const char* name) {
  const char* value = environment(name);
  return value == nullptr ? "" : value;
}

std::string rate_text(double per_second, std::string_view unit) {
  constexpr std::array<const char*, 5> prefixes{"", "k", "M", "G", "T"};
  std::size_t prefix = 0;
  while (per_second >= 999.5 && prefix + 1 < prefixes.size()) {
    per_second /= 1000.0;
    ++prefix;
  }
  std::array<char, 32> number{};
  std::snprintf(number.data(), number.size(), per_second < 9.995 ? "%.2f" : "%.0f", per_second);
  return std::string(number.data()) + " " + prefixes[prefix] + std::string(unit) + "/s";
}

}  // namespace concordat::cli::doctor
