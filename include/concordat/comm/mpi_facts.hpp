// What this process's MPI says of itself.
//
//   MpiFacts facts = mpi_facts();
//   facts.thread_level;      // "serialized"; empty while there is no Runtime
#pragma once

#include <string>

namespace concordat::comm {

struct MpiFacts {
  std::string library;       ///< name and version at run time
  std::string standard;      ///< of the standard that it follows, such as "3.1"
  std::string thread_level;  ///< single, funneled, serialized or multiple
};

/// Not collective; does not need a Runtime.
MpiFacts mpi_facts();

}  // namespace concordat::comm
