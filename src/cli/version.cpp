// `concordat --version`.
#include "cli/command.hpp"
#include "concordat/comm/runtime.hpp"
#include "concordat/core/kill_point.hpp"
#include "concordat/device/backend.hpp"

namespace concordat::cli {
namespace {

std::string backends() {
  std::string text;
  for (const std::string& name : device::backend_names()) {
    text += (text.empty() ? "" : ", ") + name + (name == "strict" ? " (for tests)" : "");
  }
  return text;
}

}  // namespace

std::string version_text() {
  std::string text = "concordat " CONCORDAT_VERSION " (" CONCORDAT_BUILD ")\n";
  text += "  libraries     " CONCORDAT_LIBRARIES "\n";
  text += "  mpi           " + comm::mpi_library() + "\n";
  text += "  back ends     " + backends() + "\n";
  text += "  instructions  " + device::instructions_in_use() + "\n";
  text += "  roads         tls\n";
  if (kill_points_compiled()) {
    text += "  kill points   compiled in: a test build, not for production\n";
  }
  return text;
}

}  // namespace concordat::cli
