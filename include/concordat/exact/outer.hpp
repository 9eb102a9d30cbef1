// The outer step: the shared model phi moves by the dequantised aggregate d, in fp32, fixed order.
//
//   fedavg    phi -= eta * d
//   fedavgm   m = mu * m + d;                      phi -= eta * m
//   nesterov  m = mu * m + d;                      phi -= eta * (d + mu * m)       (DiLoCo)
//   fedadam   m = mu * m + (1 - mu) * d;  v = b2 * v + (1 - b2) * d * d;
//             phi -= eta * m / (sqrt(v) + tau)
//   fedyogi   as fedadam with v -= (1 - b2) * d * d * sign(v - d * d)
//
//   OuterSettings settings{.kind = OuterKind::nesterov, .eta = 0.7F, .mu = 0.9F};
//   outer_step(settings, phi, d, {m, {}});
//
// Threads: pure functions. Failure: Error(exact.setting). Cost: memory bandwidth.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace concordat::exact {

enum class OuterKind : std::uint8_t { fedavg, fedavgm, nesterov, fedadam, fedyogi };

std::string_view name_of(OuterKind kind);
/// @throws Error(exact.setting) listing the known names.
OuterKind outer_kind_from(std::string_view name, std::string_view where);

/// Exact bits, fixed by the agreement.
struct OuterSettings {
  OuterKind kind = OuterKind::nesterov;
  float eta = 0.7F;   ///< outer rate
  float mu = 0.9F;    ///< momentum; beta 1 of fedadam and fedyogi
  float b2 = 0.99F;   ///< second moment, fedadam and fedyogi only
  float tau = 1e-3F;  ///< added to the root, fedadam and fedyogi only
  bool operator==(const OuterSettings&) const = default;
};

/// @throws Error(exact.setting) naming the setting outside its range.
void check_settings(const OuterSettings& settings);

/// Outer moments that the kind keeps: 0 (fedavg), 1 (fedavgm, nesterov: m) or 2 (m, v).
int num_moments(OuterKind kind);
/// "m" or "v".
std::string_view moment_name(int moment);

struct OuterMoments {
  std::span<float> m;
  std::span<float> v;
};

/// One outer step of one run of elements, in place. @pre spans that the kind uses have the length
/// of phi.
void outer_step(const OuterSettings& settings, std::span<float> phi, std::span<const float> d,
                OuterMoments moments);

/// update[i] = base[i] - theta[i].
void make_update(std::span<const float> base, std::span<const float> theta,
                 std::span<float> update);

/// A site that the closing record does not list: theta[i] += phi_new[i] - base[i].
void follow_shared_model(std::span<float> theta, std::span<const float> phi_new,
                         std::span<const float> base);

}  // namespace concordat::exact
