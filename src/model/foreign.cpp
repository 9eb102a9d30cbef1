#include "concordat/model/foreign.hpp"

#include <algorithm>

#include "concordat/model/names.hpp"

namespace concordat::model {

namespace {

constexpr std::int64_t piece_elements = std::int64_t{1} << 20;
constexpr std::int64_t strip_elements = std::int64_t{1} << 24;
constexpr std::string_view fused = "attn.c_attn";

ForeignTensor gpt2_tensor(const ModelConfig& config, const parallel::ParameterSpec& spec) {
  ForeignTensor theirs{.name = spec.name, .shape = spec.shape};
  const Names& names = names_of(Family::gpt2);
  if (!spec.name.starts_with(names.layers)) return theirs;
  theirs.transposed = spec.shape.size() == 2;
  std::int64_t place = 0;
  for (const std::string_view module : {names.query, names.key, names.value}) {
    const auto at = spec.name.find("." + std::string(module) + ".");
    if (at != std::string::npos) {
      theirs.name.replace(at + 1, module.size(), fused);
      theirs.shape.front() = 3 * config.width;
      theirs.first = place * config.width;
    }
    ++place;
  }
  if (theirs.transposed) std::reverse(theirs.shape.begin(), theirs.shape.end());
  return theirs;
}

}  // namespace

ForeignTensor foreign_tensor(const ModelConfig& config, const parallel::ParameterSpec& spec) {
  if (config.family == Family::gpt2) return gpt2_tensor(config, spec);
  return {.name = spec.name, .shape = spec.shape};
}

bool is_derived(const ModelConfig& config, std::string_view name) {
  if (config.family == Family::llama) return name.ends_with(".rotary_emb.inv_freq");
  if (name.starts_with(gpt2_prefix)) name.remove_prefix(gpt2_prefix.size());
  return name.starts_with("h.") &&
         (name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias"));
}

std::vector<ForeignGroup> foreign_groups(const ModelConfig& config,
                                         std::span<const parallel::ParameterSpec> specs) {
  std::vector<ForeignGroup> groups;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    ForeignTensor theirs = foreign_tensor(config, specs[i]);
    const auto known = std::find_if(groups.begin(), groups.end(), [&](const ForeignGroup& group) {
      return group.whole.name == theirs.name;
    });
    if (known != groups.end()) {
      known->members.push_back(i);
      continue;
    }
    CONCORDAT_REQUIRE(theirs.first == 0, theirs.name);
    groups.push_back({std::move(theirs), {i}});
  }
  return groups;
}

namespace {

/// Members one behind the other: those that are not transposed.
void write_rows(SafetensorsWriter& file, std::size_t planned, const ModelConfig& config,
                std::span<const parallel::ParameterSpec> specs, const ForeignGroup& group,
                const ReadOurs& read, const std::function<void(std::int64_t)>& written) {
  std::vector<float> values;
  for (const std::size_t member : group.members) {
    const std::int64_t first = foreign_tensor(config, specs[member]).first;
    const std::int64_t count = num_elements(specs[member].shape);
    for (std::int64_t at = 0; at < count; at += piece_elements) {
      values.resize(static_cast<std::size_t>(std::min(piece_elements, count - at)));
      read(member, at, values);
      file.write(planned, first + at, values);
      if (written) written(static_cast<std::int64_t>(values.size()));
    }
  }
}

/// Strips of their rows: a piece of each of our rows becomes columns.
void write_columns(SafetensorsWriter& file, std::size_t planned, const ModelConfig& config,
                   std::span<const parallel::ParameterSpec> specs, const ForeignGroup& group,
                   const ReadOurs& read, const std::function<void(std::int64_t)>& written) {
  const std::int64_t depth = group.whole.shape[0];
  const std::int64_t columns = group.whole.shape[1];
  const std::int64_t step = std::max<std::int64_t>(1, strip_elements / columns);
  std::vector<float> strip;
  std::vector<float> line;
  for (std::int64_t begin = 0; begin < depth; begin += step) {
    const std::int64_t rows = std::min(step, depth - begin);
    strip.resize(static_cast<std::size_t>(rows * columns));
    line.resize(static_cast<std::size_t>(rows));
    for (const std::size_t member : group.members) {
      const std::int64_t first = foreign_tensor(config, specs[member]).first;
      for (std::int64_t column = 0; column < specs[member].shape[0]; ++column) {
        read(member, column * depth + begin, line);
        for (std::int64_t row = 0; row < rows; ++row) {
          strip[static_cast<std::size_t>(row * columns + first + column)] =
              line[static_cast<std::size_t>(row)];
        }
      }
    }
    file.write(planned, begin * columns, strip);
    if (written) written(static_cast<std::int64_t>(strip.size()));
  }
}

}  // namespace

void write_group(SafetensorsWriter& file, std::size_t planned, const ModelConfig& config,
                 std::span<const parallel::ParameterSpec> specs, const ForeignGroup& group,
                 const ReadOurs& read, const std::function<void(std::int64_t)>& written) {
  const auto write = group.whole.transposed ? write_columns : write_rows;
  write(file, planned, config, specs, group, read, written);
}

}  // namespace concordat::model
