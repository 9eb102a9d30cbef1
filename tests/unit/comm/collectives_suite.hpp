// What every back end must do, as one function to call on every rank of a group of any size.
#pragma once

#include <cstring>

#include "concordat/comm/communicator.hpp"

namespace concordat::comm {

/// Where the suite's tensors live: on the host, unless a device's tests say otherwise.
class Desk {
 public:
  virtual ~Desk() = default;
  virtual Stream& stream() { return inline_; }
  /// A tensor of the device with these values, in stream order.
  virtual Tensor put(const Tensor& host) { return host; }
  /// Its values when the stream has come so far.
  virtual Tensor get(const Tensor& tensor) { return tensor; }
  /// Overwrites `out`, in stream order.
  virtual void copy(const Tensor& out, const Tensor& in) {
    std::memcpy(out.raw_bytes(), in.raw_bytes(), in.size_bytes());
  }
  /// Whether it adds up as comm/communicator.hpp says, to the last bit and for every type.
  virtual bool as_comm_says() const { return true; }

 private:
  InlineStream inline_;
};

/// Collective over `comm`: runs every collective with small odd counts and checks the results.
void check_all_collectives_on(Communicator& comm, Desk& desk);
inline void check_all_collectives(Communicator& comm) {
  Desk host;
  check_all_collectives_on(comm, host);
}

}  // namespace concordat::comm
