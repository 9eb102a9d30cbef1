#include "concordat/exact/outer.hpp"

#include <cmath>
#include <string>

#include "concordat/core/error.hpp"
#include "concordat/exact/float_environment.hpp"

namespace concordat::exact {

namespace {

void averaged(float eta, float* __restrict phi, const float* __restrict d, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) phi[i] = phi[i] - eta * d[i];
}

void heavy_ball(float eta, float mu, float* __restrict phi, const float* __restrict d,
                float* __restrict m, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    m[i] = mu * m[i] + d[i];
    phi[i] = phi[i] - eta * m[i];
  }
}

void nesterov(float eta, float mu, float* __restrict phi, const float* __restrict d,
              float* __restrict m, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    m[i] = mu * m[i] + d[i];
    phi[i] = phi[i] - eta * (d[i] + mu * m[i]);
  }
}

template <bool yogi>
void adaptive(const OuterSettings& s, float* __restrict phi, const float* __restrict d,
              float* __restrict m, float* __restrict v, std::size_t n) {
  const float eta = s.eta, mu = s.mu, b2 = s.b2, tau = s.tau;
  const float rest_1 = 1.0F - mu, rest_2 = 1.0F - b2;
  for (std::size_t i = 0; i < n; ++i) {
    const float square = d[i] * d[i];
    m[i] = mu * m[i] + rest_1 * d[i];
    if constexpr (yogi) {
      const float sign = static_cast<float>(v[i] > square) - static_cast<float>(v[i] < square);
      v[i] = v[i] - rest_2 * square * sign;
    } else {
      v[i] = b2 * v[i] + rest_2 * square;
    }
    phi[i] = phi[i] - eta * m[i] / (std::sqrt(v[i]) + tau);
  }
}

void require_length(std::size_t found, std::size_t expected) {
  CONCORDAT_REQUIRE(found == expected, std::to_string(found) + " and " + std::to_string(expected));
}

}  // namespace

void outer_step(const OuterSettings& settings, std::span<float> phi, std::span<const float> d,
                OuterMoments moments) {
  check_settings(settings);
  const std::size_t n = phi.size();
  require_length(d.size(), n);
  if (num_moments(settings.kind) >= 1) require_length(moments.m.size(), n);
  if (num_moments(settings.kind) >= 2) require_length(moments.v.size(), n);
  const StrictFloats strict;
  float* m = moments.m.data();
  switch (settings.kind) {
    case OuterKind::fedavg:
      averaged(settings.eta, phi.data(), d.data(), n);
      break;
    case OuterKind::fedavgm:
      heavy_ball(settings.eta, settings.mu, phi.data(), d.data(), m, n);
      break;
    case OuterKind::nesterov:
      nesterov(settings.eta, settings.mu, phi.data(), d.data(), m, n);
      break;
    case OuterKind::fedadam:
      adaptive<false>(settings, phi.data(), d.data(), m, moments.v.data(), n);
      break;
    case OuterKind::fedyogi:
      adaptive<true>(settings, phi.data(), d.data(), m, moments.v.data(), n);
      break;
  }
}

void make_update(std::span<const float> base, std::span<const float> theta,
                 std::span<float> update) {
  require_length(theta.size(), base.size());
  require_length(update.size(), base.size());
  const StrictFloats strict;
  for (std::size_t i = 0; i < base.size(); ++i) update[i] = base[i] - theta[i];
}

void follow_shared_model(std::span<float> theta, std::span<const float> phi_new,
                         std::span<const float> base) {
  require_length(phi_new.size(), theta.size());
  require_length(base.size(), theta.size());
  const StrictFloats strict;
  for (std::size_t i = 0; i < theta.size(); ++i) theta[i] = theta[i] + (phi_new[i] - base[i]);
}

}  // namespace concordat::exact
