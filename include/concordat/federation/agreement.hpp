// RunAgreement: what a run is. Signed by everybody in the roster; no message can change it.
//
//   RunAgreement agreement{.run = "quickstart", .seed = 7, .rounds = 12, .inner_steps = 30};
//   agreement.settings = {{"inner.rate", real_text(3e-3)}, {"model.layers", "4"}};
//   agreement.roster = roster.digest;
//   check_agreement(agreement, roster, "agreement.json");
//   ...
//   SignedAgreement run = load_agreement(fs, "agreement.json", roster);
//   exact::Quantiser q = run.agreement.quantiser_of(Round{3});
//   double rate = real_from(run.agreement.setting("inner.rate"), "agreement.json");
//
// Every real number is written as hexadecimal floating point: exact bits. Plain values.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "concordat/exact/outer.hpp"
#include "concordat/exact/scales.hpp"
#include "concordat/federation/roster.hpp"

namespace concordat::federation {

/// `shares` is reserved; this release refuses it.
enum class Recovery : std::uint8_t { none };

struct RunAgreement {
  std::string run;
  std::uint64_t seed = 0;
  std::uint32_t rounds = 0;
  std::uint32_t inner_steps = 0;  ///< H
  /// Flattened configuration of [model] and [inner]: key to text, reals by real_text().
  std::map<std::string, std::string> settings{};
  exact::OuterSettings outer{};
  exact::ScaleRule scales{};        ///< rule "rms-1"
  exact::Quantiser first_round{};   ///< bits and lane of round 0
  exact::Quantiser later_rounds{};  ///< and of every later one
  std::uint32_t weight_cap = 1;     ///< w_cap: most tokens of one site in one round
  std::uint32_t block_log2 = 20;    ///< k: a block has 2^k elements
  std::uint32_t minimum = 3;        ///< participants
  std::uint32_t colluding = 1;      ///< c
  Recovery recovery = Recovery::none;
  std::uint64_t num_elements = 0;  ///< P
  Digest initial_state{};
  Digest roster{};

  const exact::Quantiser& quantiser_of(Round round) const {
    return round == Round{0} ? first_round : later_rounds;
  }
  std::uint64_t num_blocks() const;
  /// @throws Error(federation.bad_agreement) naming the key that is missing.
  const std::string& setting(const std::string& key) const;
};

/// Exact text of a real number ("0x1.8p+1") and back. @throws Error(malformed).
std::string real_text(double value);
double real_from(std::string_view text, std::string_view where);

Bytes encode(const RunAgreement& agreement);
/// Strict, like parse_roster.
RunAgreement parse_agreement(ByteView document, std::string_view where);

/// Ranges, caps, the roster's digest and that no sum can wrap its lane.
/// @throws Error(federation.bad_agreement | exact.lane_could_wrap | exact.setting | exact.weight).
void check_agreement(const RunAgreement& agreement, const SignedRoster& roster,
                     std::string_view where);

struct SignedAgreement {
  RunAgreement agreement;
  Bytes document;
  Digest digest;
};
/// Parses, checks, verifies all signatures.
SignedAgreement open_agreement(Bytes document, const Signatures& signatures,
                               const SignedRoster& roster, std::string_view where);
/// Reads `path` and `path`.sigs.
SignedAgreement load_agreement(FileSystem& fs, const FileSystem::Path& path,
                               const SignedRoster& roster);

}  // namespace concordat::federation
