// What a rank computes and moves in a second, and whether one of them is slower than the others.
#include <algorithm>
#include <cstdio>

#include "cli/doctor_checks.hpp"
#include "concordat/device/ops/elementwise.hpp"
#include "concordat/device/pending.hpp"
#include "concordat/train/peak.hpp"

namespace concordat::cli::doctor {
namespace {

double stream_rate(device::Exec& exec, const Clock& clock, std::int64_t elements, int times) {
  const Tensor a = exec.backend.allocate(Dtype::f32, {elements});
  const Tensor b = exec.backend.allocate(Dtype::f32, {elements});
  const Tensor c = exec.backend.allocate(Dtype::f32, {elements});
  device::fill(exec, a, 0.5);
  device::fill(exec, b, 0.25);
  device::fill(exec, c, 0.0);  // its pages are there before the clock runs
  double best = 0.0;
  for (int i = 0; i < times; ++i) {
    const auto begin = clock.monotonic();
    device::add(exec, c, a, b);
    device::read_back<float>(exec, c.slice(0, 0, 1)).get();
    const double seconds = std::chrono::duration<double>(clock.monotonic() - begin).count();
    best = std::max(best, 12.0 * static_cast<double>(elements) / std::max(seconds, 1e-9));
  }
  return best;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[(values.size() - 1) / 2];
}

std::string spread_text(const std::vector<double>& values, std::string_view unit) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  if (values.size() == 1) return rate_text(*high, unit);
  return rate_text(*low, unit) + " to " + rate_text(*high, unit) + " a rank";
}

Finding rate_finding(const std::string& what, std::string_view unit, const std::string& figure,
                     const std::vector<double>& values, const comm::PlacementReport& report) {
  Finding finding = ok("rates", what + ": " + spread_text(values, unit));
  const double middle = median(values);
  const auto slowest = std::min_element(values.begin(), values.end());
  finding.figures = {{figure + "_lowest", *slowest}, {figure + "_median", middle}};
  // Every step waits for the slowest rank.
  constexpr double allowed = 0.6;
  if (values.size() > 1 && *slowest < allowed * middle) {
    const auto rank = static_cast<std::size_t>(slowest - values.begin());
    finding.level = Level::warn;
    finding.text += "; rank " + std::to_string(rank) + " on " + report.ranks[rank].host +
                    " is the slowest, and every step waits for it";
    finding.remedy = "see what else runs on that node; leave it out with sbatch --exclude";
  }
  return finding;
}

}  // namespace

Rates measure_rates(device::Exec& exec, const Clock& clock, bool longer) {
  Rates rates;
  const int rounds = longer ? 10 : 1;
  for (int i = 0; i < rounds; ++i) {
    rates.fp32_flops = std::max(rates.fp32_flops, train::product_rate(exec, clock, Dtype::f32));
    if (!exec.backend.multiplies(Dtype::bf16)) continue;
    rates.bf16_flops = std::max(rates.bf16_flops, train::product_rate(exec, clock, Dtype::bf16));
  }
  // Three times 32 MiB, more than most caches; longer: 128 MiB.
  rates.stream_bytes = stream_rate(exec, clock, std::int64_t{1} << (longer ? 25 : 23), 3 * rounds);
  return rates;
}

Findings check_rates(const std::vector<Rates>& rates, const comm::PlacementReport& report) {
  Findings findings;
  const auto column = [&](double Rates::*member) {
    std::vector<double> values;
    for (const Rates& rank : rates) values.push_back(rank.*member);
    return values;
  };
  findings.push_back(rate_finding("matrix products in fp32", "FLOP", "fp32_flop_per_s",
                                  column(&Rates::fp32_flops), report));
  const std::vector<double> bf16 = column(&Rates::bf16_flops);
  if (*std::min_element(bf16.begin(), bf16.end()) > 0.0) {
    findings.push_back(
        rate_finding("matrix products in bf16", "FLOP", "bf16_flop_per_s", bf16, report));
  }
  findings.push_back(rate_finding("memory, c = a + b", "B", "stream_bytes_per_s",
                                  column(&Rates::stream_bytes), report));
  return findings;
}

}  // namespace concordat::cli::doctor
