#include "concordat/comm/mpi_facts.hpp"

#include <mpi.h>

#include "concordat/comm/runtime.hpp"

namespace concordat::comm {
namespace {

std::string thread_level() {
  int started = 0;
  MPI_Initialized(&started);
  int ended = 0;
  MPI_Finalized(&ended);
  if (started == 0 || ended != 0) return "";
  int level = 0;
  MPI_Query_thread(&level);
  if (level == MPI_THREAD_SINGLE) return "single";
  if (level == MPI_THREAD_FUNNELED) return "funneled";
  if (level == MPI_THREAD_SERIALIZED) return "serialized";
  return "multiple";
}

}  // namespace

MpiFacts mpi_facts() {
  int version = 0;
  int subversion = 0;
  MPI_Get_version(&version, &subversion);
  return {.library = mpi_library(),
          .standard = std::to_string(version) + "." + std::to_string(subversion),
          .thread_level = thread_level()};
}

}  // namespace concordat::comm
