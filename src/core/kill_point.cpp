#include "concordat/core/kill_point.hpp"

#ifdef CONCORDAT_KILL_POINTS

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <string>

namespace concordat {
namespace {

struct Target {
  std::string name;
  int count = 1;
};

// Leaked on purpose: a point may be passed while statics are being destroyed.
const Target& target() {
  static const Target* instance = [] {
    auto* made = new Target();
    const char* text = std::getenv("CONCORDAT_KILL_AT");
    if (text == nullptr) return made;
    std::string_view wanted(text);
    auto colon = wanted.rfind(':');
    made->name = std::string(wanted.substr(0, colon));
    if (colon != std::string_view::npos) {
      std::string_view digits = wanted.substr(colon + 1);
      std::from_chars(digits.data(), digits.data() + digits.size(), made->count);
    }
    return made;
  }();
  return *instance;
}

}  // namespace

void kill_point(std::string_view name) {
  // Only one name can be the target, so one counter is enough.
  static std::atomic<int> passed{0};
  if (target().name.empty() || target().name != name) return;
  if (++passed == target().count) std::raise(SIGKILL);
}

bool kill_points_compiled() { return true; }

}  // namespace concordat

#else

namespace concordat {

void kill_point(std::string_view) {}
bool kill_points_compiled() { return false; }

}  // namespace concordat

#endif
