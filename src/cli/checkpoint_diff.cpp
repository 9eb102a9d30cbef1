#include <cstdio>
#include <iostream>
#include <map>

#include "cli/checkpoint_commands.hpp"
#include "cli/checkpoint_place.hpp"
#include "cli/site_command.hpp"
#include "concordat/checkpoint/compare.hpp"

namespace concordat::cli {
namespace {

using checkpoint::Comparison;
using checkpoint::DatasetDifference;
using checkpoint::MetadataDifference;

constexpr int exit_differ = 1;

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

/// "section.key" -> value, of Config::effective_toml, without where the values came from.
std::map<std::string, std::string> config_values(const std::string& toml) {
  std::map<std::string, std::string> values;
  std::string section;
  for (std::size_t begin = 0; begin < toml.size();) {
    std::size_t end = std::min(toml.find('\n', begin), toml.size());
    std::string line = toml.substr(begin, end - begin);
    begin = end + 1;
    if (line.starts_with("[") && line.ends_with("]")) {
      section = line.substr(1, line.size() - 2) + ".";
      continue;
    }
    const std::size_t equals = line.find(" = ");
    if (equals == std::string::npos) continue;
    const std::size_t origin = line.rfind("  # ");
    const std::size_t stop = origin == std::string::npos ? line.size() : origin;
    values[section + line.substr(0, equals)] = line.substr(equals + 3, stop - equals - 3);
  }
  return values;
}

/// The keys of the configuration that differ instead of its whole text.
std::vector<MetadataDifference> config_keys(const MetadataDifference& whole) {
  std::vector<MetadataDifference> found;
  const auto first = config_values(whole.first.value_or(""));
  const auto second = config_values(whole.second.value_or(""));
  for (const auto& [key, value] : first) {
    const auto other = second.find(key);
    if (other == second.end()) {
      found.push_back({key, value, std::nullopt});
    } else if (other->second != value) {
      found.push_back({key, value, other->second});
    }
  }
  for (const auto& [key, value] : second) {
    if (first.find(key) == first.end()) found.push_back({key, std::nullopt, value});
  }
  return found;
}

/// Where a value came from is no difference between two generations.
std::vector<MetadataDifference> spelled_out(const std::vector<MetadataDifference>& all) {
  std::vector<MetadataDifference> found;
  for (const auto& difference : all) {
    if (difference.key != checkpoint::keys::effective_config || !difference.first ||
        !difference.second) {
      found.push_back(difference);
      continue;
    }
    const auto keys = config_keys(difference);
    found.insert(found.end(), keys.begin(), keys.end());
  }
  return found;
}

std::string side(const std::optional<std::string>& text) {
  if (!text) return "(none)";
  const std::size_t end = text->find('\n');
  return end == std::string::npos ? *text : text->substr(0, end) + " ...";
}

void print_dataset(const DatasetDifference& d) {
  std::cout << d.name << ": ";
  if (!d.first_form.empty()) {
    std::cout << d.first_form << " | " << d.second_form << '\n';
    return;
  }
  std::cout << d.num_different << " of " << d.num_elements << " elements differ, by at most "
            << number(d.largest_absolute) << " (relative " << number(d.largest_relative)
            << "), first" << (d.first_place.empty() ? "" : " " + d.first_place) << ": " << d.first_a
            << ", " << d.second_b << '\n';
}

void print(const Comparison& found) {
  for (const auto& difference : found.metadata) {
    std::cout << difference.key << ": " << side(difference.first) << " | "
              << side(difference.second) << '\n';
  }
  for (const auto& name : found.only_in_first) std::cout << name << ": only in the first\n";
  for (const auto& name : found.only_in_second) std::cout << name << ": only in the second\n";
  for (const auto& difference : found.datasets) print_dataset(difference);
  std::cout << (found.equal() ? "equal" : "they differ") << ": " << found.num_compared
            << " datasets, " << found.num_elements << " elements compared; "
            << found.datasets.size() << " datasets differ, "
            << found.only_in_first.size() + found.only_in_second.size() << " in one alone, "
            << found.metadata.size() << " differences of metadata\n";
}

}  // namespace

int checkpoint_diff(const Args& given) {
  Args args = given;
  constexpr double most = 1e300;
  const bool tensors = take_flag(args, "tensors").has_value();
  Flags flags("checkpoint diff", args, {"tolerance", "relative"});
  flags.expect_positional({"GENERATION", "GENERATION"});
  const auto tolerance = [&](std::string_view name) {
    return real_number("checkpoint diff", name, flags.value(name, "0"), 0.0, most);
  };
  const checkpoint::CompareOptions options{.absolute = tolerance("tolerance"),
                                           .relative = tolerance("relative")};
  const CheckpointPlace first = find_generation(flags.positional()[0]);
  const CheckpointPlace second = find_generation(flags.positional()[1]);
  Comparison found =
      checkpoint::compare_generations(posix_files(), first.path(), second.path(), options);
  found.metadata = tensors ? std::vector<MetadataDifference>{} : spelled_out(found.metadata);
  print(found);
  return found.equal() ? 0 : exit_differ;
}

}  // namespace concordat::cli
