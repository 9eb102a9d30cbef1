#include "concordat/federation/agreement.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "concordat/core/error.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/federation/errors.hpp"
#include "federation/json.hpp"

namespace concordat::federation {
namespace {

constexpr std::string_view format = "concordat-agreement-v1";
constexpr std::string_view scale_rule = "rms-1";
constexpr std::size_t max_text_bytes = 256;
constexpr std::size_t max_settings = 256;
constexpr std::uint64_t max_u32 = 0xffff'ffffU;
constexpr std::uint64_t max_u64 = 0xffff'ffff'ffff'ffffU;

[[noreturn]] void refuse(std::string_view where, std::string what, std::string found,
                         std::string expected) {
  throw Error(errors::bad_agreement,
              {.what = std::move(what),
               .where = std::string(where),
               .found = std::move(found),
               .expected = std::move(expected),
               .remedy = "correct the agreement and let everybody sign it again"});
}

JsonValue to_json(const exact::Quantiser& quantiser) {
  JsonValue json = JsonValue::object();
  json.add("bits", quantiser.bits);
  json.add("lane", static_cast<int>(quantiser.lane));
  return json;
}

exact::Quantiser to_quantiser(JsonObject json) {
  exact::Quantiser quantiser;
  quantiser.bits = static_cast<int>(json.integer("bits", 1, 32));
  quantiser.lane =
      exact::lane_from_bits(static_cast<int>(json.integer("lane", 1, 64)), json.where());
  json.finish();
  return quantiser;
}

double real(JsonObject& json, const std::string& field) {
  return real_from(json.text(field, 64), json.where() + ": " + field);
}

// A float in the document must be one: rounding it here would change exact bits silently.
float real32(JsonObject& json, const std::string& field) {
  double value = real(json, field);
  auto narrow = static_cast<float>(value);
  if (static_cast<double>(narrow) != value) {
    refuse(json.where() + ": " + field, "a rate is no single-precision number", real_text(value),
           real_text(static_cast<double>(narrow)));
  }
  return narrow;
}

JsonValue outer_json(const exact::OuterSettings& outer) {
  JsonValue json = JsonValue::object();
  json.add("kind", std::string(exact::name_of(outer.kind)));
  json.add("eta", real_text(static_cast<double>(outer.eta)));
  json.add("mu", real_text(static_cast<double>(outer.mu)));
  json.add("b2", real_text(static_cast<double>(outer.b2)));
  json.add("tau", real_text(static_cast<double>(outer.tau)));
  return json;
}

exact::OuterSettings to_outer(JsonObject json) {
  exact::OuterSettings outer;
  outer.kind = exact::outer_kind_from(json.text("kind", max_text_bytes), json.where());
  outer.eta = real32(json, "eta");
  outer.mu = real32(json, "mu");
  outer.b2 = real32(json, "b2");
  outer.tau = real32(json, "tau");
  json.finish();
  return outer;
}

JsonValue quantiser_json(const RunAgreement& agreement) {
  const exact::ScaleRule& scales = agreement.scales;
  JsonValue json = JsonValue::object();
  json.add("rule", std::string(scale_rule));
  json.add("first_round", to_json(agreement.first_round));
  json.add("later_rounds", to_json(agreement.later_rounds));
  json.add("first_multiple", real_text(scales.first_multiple));
  json.add("summed_rates", real_text(scales.summed_rates));
  json.add("spread", real_text(scales.spread));
  json.add("floor", real_text(static_cast<double>(scales.floor)));
  json.add("cap", real_text(static_cast<double>(scales.cap)));
  return json;
}

void read_quantiser(JsonObject json, RunAgreement& agreement) {
  if (std::string rule = json.text("rule", max_text_bytes); rule != scale_rule) {
    refuse(json.where(), "the scale rule is unknown", rule, std::string(scale_rule));
  }
  agreement.first_round = to_quantiser(json.object("first_round"));
  agreement.later_rounds = to_quantiser(json.object("later_rounds"));
  agreement.scales.first_multiple = real(json, "first_multiple");
  agreement.scales.summed_rates = real(json, "summed_rates");
  agreement.scales.spread = real(json, "spread");
  agreement.scales.floor = real32(json, "floor");
  agreement.scales.cap = real32(json, "cap");
  json.finish();
}

}  // namespace

std::uint64_t RunAgreement::num_blocks() const {
  std::uint64_t size = std::uint64_t{1} << block_log2;
  return (num_elements + size - 1) / size;
}

const std::string& RunAgreement::setting(const std::string& key) const {
  auto found = settings.find(key);
  if (found == settings.end()) refuse("run agreement " + run, "a setting is missing", "none", key);
  return found->second;
}

std::string real_text(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%a", value);
  return text;
}

double real_from(std::string_view text, std::string_view where) {
  double value = 0.0;
  std::string_view digits = text;
  bool negative = digits.starts_with('-');
  if (negative) digits.remove_prefix(1);
  // Only the hexadecimal form is exact to everybody; from_chars takes it without the prefix.
  bool hexadecimal = digits.starts_with("0x") && digits.size() > 2;
  if (hexadecimal) {
    digits.remove_prefix(2);
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value,
                                        std::chars_format::hex);
    hexadecimal = error == std::errc() && end == digits.data() + digits.size();
  }
  if (!hexadecimal || !std::isfinite(value)) {
    throw Error(concordat::errors::malformed,
                {.what = "a real number is not written as exact bits",
                 .where = std::string(where),
                 .found = std::string(text),
                 .expected = "hexadecimal floating point such as 0x1.8p+1",
                 .remedy = "write it with printf's %a"});
  }
  return negative ? -value : value;
}

Bytes encode(const RunAgreement& agreement) {
  JsonValue json = JsonValue::object();
  json.add("format", std::string(format)).add("run", agreement.run);
  json.add("roster", agreement.roster.hex());
  json.add("seed", agreement.seed).add("rounds", agreement.rounds);
  json.add("inner_steps", agreement.inner_steps);
  json.add("settings", agreement.settings);
  json.add("outer", outer_json(agreement.outer));
  json.add("quantiser", quantiser_json(agreement));
  json.add("weight_cap", agreement.weight_cap).add("block_log2", agreement.block_log2);
  json.add("minimum", agreement.minimum).add("colluding", agreement.colluding);
  json.add("recovery", "none").add("num_elements", agreement.num_elements);
  json.add("initial_state", agreement.initial_state.hex());
  return document_of(json);
}

RunAgreement parse_agreement(ByteView document, std::string_view where) {
  JsonObject root = JsonObject::parse(document, where);
  if (std::string found = root.text("format", max_text_bytes); found != format) {
    refuse(where, "this is no run agreement", found, std::string(format));
  }
  auto u32 = [&](const char* field) {
    return static_cast<std::uint32_t>(root.integer(field, 0, max_u32));
  };
  RunAgreement agreement;
  agreement.run = root.text("run", 64);
  agreement.roster = root.digest("roster");
  agreement.seed = root.integer("seed", 0, max_u64);
  agreement.rounds = u32("rounds");
  agreement.inner_steps = u32("inner_steps");
  agreement.settings = root.text_map("settings", max_settings, max_text_bytes);
  agreement.outer = to_outer(root.object("outer"));
  read_quantiser(root.object("quantiser"), agreement);
  agreement.weight_cap = u32("weight_cap");
  agreement.block_log2 = u32("block_log2");
  agreement.minimum = u32("minimum");
  agreement.colluding = u32("colluding");
  if (std::string recovery = root.text("recovery", max_text_bytes); recovery != "none") {
    refuse(where, "this release has no such recovery", recovery, "none");
  }
  agreement.num_elements = root.integer("num_elements", 0, max_u64);
  agreement.initial_state = root.digest("initial_state");
  root.finish();
  return agreement;
}

void check_agreement(const RunAgreement& agreement, const SignedRoster& roster,
                     std::string_view where) {
  auto range = [&](const char* name, std::uint64_t value, std::uint64_t low, std::uint64_t high) {
    if (value >= low && value <= high) return;
    refuse(where, std::string("\"") + name + "\" is out of range", std::to_string(value),
           std::to_string(low) + " to " + std::to_string(high));
  };
  if (agreement.roster != roster.digest) {
    refuse(where, "the agreement was made for another roster", agreement.roster.hex(),
           roster.digest.hex());
  }
  std::uint64_t num_sites = roster.roster.num_sites();
  crypto::require_site_name(agreement.run, std::string(where) + ": run");
  range("rounds", agreement.rounds, 1, 1'000'000);
  range("inner_steps", agreement.inner_steps, 1, 1'000'000);
  range("block_log2", agreement.block_log2, 10, 20);
  range("num_elements", agreement.num_elements, 1, std::uint64_t{1} << 48U);
  // With c + 2 participants, c of them together with the coordinator still see a sum of two.
  range("colluding", agreement.colluding, 1, 1022);
  range("minimum", agreement.minimum, agreement.colluding + 2U, num_sites);
  if (agreement.initial_state.is_zero()) {
    refuse(where, "the initial state digest is not filled in", "zero",
           "what `concordat train --check` prints");
  }
  for (const auto& [key, value] : agreement.settings) {
    if (!key.starts_with("model.") && !key.starts_with("inner.")) {
      refuse(where, "a setting belongs to no known section", key, "model.* or inner.*");
    }
  }
  exact::check_settings(agreement.outer);
  exact::check_rule(agreement.scales);
  auto sites32 = static_cast<std::uint32_t>(num_sites);
  exact::check_weight_cap(sites32, agreement.weight_cap);
  range("weight_cap", agreement.weight_cap, 1, max_u32);
  exact::check_lane(sites32, agreement.first_round.bits, agreement.first_round.lane,
                    "exchange.first_bits, exchange.first_lane");
  exact::check_lane(sites32, agreement.later_rounds.bits, agreement.later_rounds.lane);
}

SignedAgreement open_agreement(Bytes document, const Signatures& signatures,
                               const SignedRoster& roster, std::string_view where) {
  SignedAgreement result;
  result.agreement = parse_agreement(document, where);
  verify_document(DocumentKind::agreement, document, signatures, signers_of(roster.roster), where);
  check_agreement(result.agreement, roster, where);
  result.digest = crypto::sha256(document);
  result.document = std::move(document);
  return result;
}

SignedAgreement load_agreement(FileSystem& fs, const FileSystem::Path& path,
                               const SignedRoster& roster) {
  FileSystem::Path sigs = signatures_path(path);
  return open_agreement(read_file(fs, path, max_document_bytes),
                        parse_signatures(read_file(fs, sigs, max_document_bytes), sigs.string()),
                        roster, path.string());
}

}  // namespace concordat::federation
