// `concordat --version`.
#include "cli/command.hpp"
#include "concordat/comm/runtime.hpp"
#include "concordat/core/kill_point.hpp"
#include "concordat/device/backend.hpp"

namespace concordat::cli {

std::string version_text() {
  std::string text = "concordat " CONCORDAT_VERSION " (" CONCORDAT_BUILD ")\n";
  text += "  libraries     " CONCORDAT_LIBRARIES "\n";
  text += "  mpi           " + comm::mpi_library() + "\n";
  text += "  back ends     cpu, reference (strict: tests)\n";
  text += "  instructions  " + device::instructions_in_use() + "\n";
  text += "  roads         tls\n";
  if (kill_points_compiled()) {
    text += "  kill points   compiled in: a test build, not for production\n";
  }
  return text;
}

}  // namespace concordat::cli
