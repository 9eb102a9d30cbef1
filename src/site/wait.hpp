// Waiting for a file of the border: rank 0 looks, everybody learns, nobody's watchdog fires.
#pragma once

#include <functional>

#include "concordat/comm/communicator.hpp"
#include "concordat/core/clock.hpp"
#include "concordat/site/ranks_exchange.hpp"

namespace concordat::site {

/// Collective. Rank 0 asks `ready` with growing pauses (5 to 200 ms); about twice a second all
/// ranks ask `stop`. True when ready, false when asked to stop. Errors of `ready` are agreed.
bool wait_until(comm::Communicator& comm, Clock& clock, const std::function<bool()>& ready,
                const StopAsked& stop);

}  // namespace concordat::site
