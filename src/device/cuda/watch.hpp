// Watch: what a host thread looks at while it waits for the GPU, where that may never end by itself
// because the work needs other ranks.
#pragma once

#include <functional>

namespace concordat::device::cuda {

class Watch {
 public:
  virtual ~Watch() = default;
  /// Returns once done() is true. `what` is waited for, in messages. @throws what done() throws,
  /// and Error(comm.peer_failed | comm.stalled | device.nccl_failed).
  virtual void wait_until(const std::function<bool()>& done, const char* what) = 0;
};

}  // namespace concordat::device::cuda
