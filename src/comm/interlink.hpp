// How Runtime::split and tests make an Interlink: over any Transport, in one context of its tags.
#pragma once

#include <memory>

#include "comm/transport.hpp"
#include "concordat/comm/interlink.hpp"

namespace concordat::comm {

/// One end of one pair. Several parties of a test may be one process: the channel keeps them apart.
struct InterlinkPeer {
  std::string name;
  int rank = 0;     ///< in the job
  int channel = 0;  ///< of the pair, the same at both ends, below 32768
};

/// `downward`: this end is the coordinator's. @pre `context` is used by nothing else.
std::unique_ptr<Interlink> make_interlink(std::shared_ptr<Transport> transport, int context,
                                          bool downward, const std::vector<InterlinkPeer>& peers);

}  // namespace concordat::comm
