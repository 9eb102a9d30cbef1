#include "site/wait.hpp"

#include <algorithm>

#include "concordat/comm/agree.hpp"

namespace concordat::site {

bool wait_until(comm::Communicator& comm, Clock& clock, const std::function<bool()>& ready,
                const StopAsked& stop) {
  using std::chrono::milliseconds;
  std::chrono::nanoseconds pause = milliseconds(5), window = milliseconds(20);
  while (true) {
    Bytes found{0};
    comm::agreed(comm, [&] {
      if (comm.rank() != 0) return;
      // Half a second at most, so that the other ranks hear of this one in time.
      const std::chrono::nanoseconds end = clock.monotonic() + window;
      window = std::min<std::chrono::nanoseconds>(window * 2, milliseconds(500));
      while (true) {
        found[0] = ready() ? 1 : 0;
        if (found[0] != 0 || clock.monotonic() >= end) return;
        clock.sleep(pause);
        pause = std::min<std::chrono::nanoseconds>(pause * 2, milliseconds(200));
      }
    });
    comm.broadcast_bytes(found, 0);
    if (found[0] != 0) return true;
    if (stop && stop()) return false;
  }
}

}  // namespace concordat::site
