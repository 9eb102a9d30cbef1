// Between configuration keys and the run agreement, in both directions.
#include <array>

#include "cli/schema.hpp"
#include "concordat/core/error.hpp"
#include "concordat/exact/lanes.hpp"
#include "concordat/federation/errors.hpp"
#include "concordat/model/parameters.hpp"
#include "concordat/parallel/canonical_space.hpp"
#include "concordat/train/learning_rate.hpp"

namespace concordat::cli {
namespace {

// [model] and [inner] go into the agreement as they are; the rest has fields of its own.
constexpr std::array<std::string_view, 2> carried{"model.", "inner."};

bool is_carried(std::string_view key) {
  for (std::string_view prefix : carried) {
    if (key.substr(0, prefix.size()) == prefix) return true;
  }
  return false;
}

std::string setting_text(const Config& config, const ConfigSchema::Key& key) {
  switch (key.kind) {
    case ConfigSchema::Kind::boolean:
      return config.boolean(key.name) ? "true" : "false";
    case ConfigSchema::Kind::integer:
      return std::to_string(config.integer(key.name));
    case ConfigSchema::Kind::real:
      return federation::real_text(config.real(key.name));
    case ConfigSchema::Kind::text:
      return config.text(key.name);
    case ConfigSchema::Kind::list:
      break;
  }
  throw Bug("a list in the agreement: " + key.name);
}

exact::Quantiser quantiser(const Config& config, const char* bits, const char* lane) {
  return {
      .bits = static_cast<int>(config.integer(bits)),
      .lane = exact::lane_from_bits(static_cast<int>(config.integer(lane)), config.origin(lane))};
}

}  // namespace

federation::RunAgreement agreement_from(const Config& config) {
  ConfigSchema schema = federation_schema();
  federation::RunAgreement a;
  a.run = config.text("run.name");
  a.seed = static_cast<std::uint64_t>(config.integer("run.seed"));
  a.rounds = static_cast<std::uint32_t>(config.integer("run.rounds"));
  a.inner_steps = static_cast<std::uint32_t>(config.integer("run.inner_steps"));
  for (const auto& key : schema.keys()) {
    if (is_carried(key.name) && config.has(key.name))
      a.settings[key.name] = setting_text(config, key);
  }
  a.outer = {.kind = exact::outer_kind_from(config.text("outer.kind"), config.origin("outer.kind")),
             .eta = static_cast<float>(config.real("outer.rate")),
             .mu = static_cast<float>(config.real("outer.momentum")),
             .b2 = static_cast<float>(config.real("outer.beta2")),
             .tau = static_cast<float>(config.real("outer.epsilon"))};
  train::RateSchedule rate{
      .peak = config.real("inner.rate"),
      .floor = config.real("inner.rate") * config.real("inner.floor_ratio"),
      .warmup_steps = config.integer("inner.warmup_steps"),
      .total_steps = config.integer("run.rounds") * config.integer("run.inner_steps"),
      .shape = train::rate_shape_named(config.text("inner.schedule")),
      .decay_share = config.real("inner.decay_share")};
  a.scales = {.first_multiple = config.real("exchange.first_multiple"),
              .summed_rates = rate.sum(0, config.integer("run.inner_steps")),
              .spread = config.real("exchange.spread"),
              .floor = static_cast<float>(config.real("exchange.scale_floor")),
              .cap = static_cast<float>(config.real("exchange.scale_cap"))};
  a.first_round = quantiser(config, "exchange.first_bits", "exchange.first_lane");
  a.later_rounds = quantiser(config, "exchange.bits", "exchange.lane");
  a.weight_cap = static_cast<std::uint32_t>(config.integer("exchange.weight_cap"));
  a.block_log2 = static_cast<std::uint32_t>(config.integer("exchange.block_log2"));
  a.minimum = static_cast<std::uint32_t>(config.integer("exchange.minimum"));
  a.colluding = static_cast<std::uint32_t>(config.integer("exchange.colluding"));
  return a;
}

ConfigOverlay overlay_of(const federation::RunAgreement& a, std::string origin) {
  using federation::real_text;
  ConfigOverlay overlay{.origin = std::move(origin), .values = a.settings};
  auto integer = [&](const char* key, std::uint64_t value) {
    overlay.values[key] = std::to_string(value);
  };
  auto real = [&](const char* key, double value) { overlay.values[key] = real_text(value); };
  overlay.values["run.name"] = a.run;
  integer("run.seed", a.seed);
  integer("run.rounds", a.rounds);
  integer("run.inner_steps", a.inner_steps);
  overlay.values["outer.kind"] = std::string(exact::name_of(a.outer.kind));
  real("exchange.first_multiple", a.scales.first_multiple);
  real("exchange.spread", a.scales.spread);
  integer("exchange.first_bits", static_cast<std::uint64_t>(a.first_round.bits));
  integer("exchange.first_lane", static_cast<std::uint64_t>(a.first_round.lane));
  integer("exchange.bits", static_cast<std::uint64_t>(a.later_rounds.bits));
  integer("exchange.lane", static_cast<std::uint64_t>(a.later_rounds.lane));
  integer("exchange.weight_cap", a.weight_cap);
  integer("exchange.block_log2", a.block_log2);
  integer("exchange.minimum", a.minimum);
  integer("exchange.colluding", a.colluding);
  return overlay;
}

}  // namespace concordat::cli
