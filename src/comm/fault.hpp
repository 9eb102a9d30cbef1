// A failure as it travels on the fault channel, and the Error that the others throw.
#pragma once

#include <string>

#include "concordat/comm/communicator.hpp"

namespace concordat::comm {

struct Fault {
  int rank = 0;
  int exit_code = 0;
  std::string text;
};

/// At most `max_bytes`; the text is cut.
Bytes encode(const Fault& fault, std::size_t max_bytes);
Fault decode_fault(ByteView bytes);

/// Error(comm.peer_failed) with the exit code of the rank that failed.
Error peer_failed_error(const Fault& fault, int this_rank);

}  // namespace concordat::comm
