#include <array>
#include <cmath>
#include <string>

#include "concordat/exact/errors.hpp"
#include "concordat/exact/outer.hpp"

namespace concordat::exact {

namespace {

constexpr std::array<std::string_view, 5> names{"fedavg", "fedavgm", "nesterov", "fedadam",
                                                "fedyogi"};

void require_setting(bool right, const char* name, const char* where, float found,
                     const char* expected) {
  if (right) return;
  throw Error(errors::setting, {.what = std::string("the outer optimizer's ") + name + " is wrong",
                                .where = where,
                                .found = std::to_string(found),
                                .expected = expected,
                                .remedy = std::string("correct ") + where});
}

}  // namespace

std::string_view name_of(OuterKind kind) { return names.at(static_cast<std::size_t>(kind)); }

OuterKind outer_kind_from(std::string_view name, std::string_view where) {
  std::string known;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return static_cast<OuterKind>(i);
    known += (i == 0 ? "" : ", ") + std::string(names[i]);
  }
  throw Error(errors::setting, {.what = "there is no such outer optimizer",
                                .where = std::string(where),
                                .found = std::string(name),
                                .expected = "one of " + known,
                                .remedy = "choose one of these"});
}

void check_settings(const OuterSettings& settings) {
  require_setting(std::isfinite(settings.eta) && settings.eta > 0.0F, "eta", "outer.rate",
                  settings.eta, "finite and above 0");
  if (settings.kind == OuterKind::fedavg) return;
  require_setting(settings.mu >= 0.0F && settings.mu < 1.0F, "mu", "outer.momentum", settings.mu,
                  "at least 0, below 1");
  if (num_moments(settings.kind) < 2) return;
  require_setting(settings.b2 >= 0.0F && settings.b2 < 1.0F, "b2", "outer.beta2", settings.b2,
                  "at least 0, below 1");
  require_setting(std::isfinite(settings.tau) && settings.tau > 0.0F, "tau", "outer.epsilon",
                  settings.tau, "finite and above 0");
}

int num_moments(OuterKind kind) {
  switch (kind) {
    case OuterKind::fedavg:
      return 0;
    case OuterKind::fedavgm:
    case OuterKind::nesterov:
      return 1;
    case OuterKind::fedadam:
    case OuterKind::fedyogi:
      return 2;
  }
  return 0;
}

std::string_view moment_name(int moment) { return moment == 0 ? "m" : "v"; }

}  // namespace concordat::exact
