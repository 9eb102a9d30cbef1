// One TCP connection to the first address of a name that answers.
#pragma once

#include "border/tls_stream.hpp"
#include "concordat/border/reach.hpp"

namespace concordat::border {

struct Dialled {
  Socket socket;  ///< empty unless reach.step is connected
  Reach reach;
};
Dialled dial(const Address& to, std::chrono::milliseconds limit);

}  // namespace concordat::border
