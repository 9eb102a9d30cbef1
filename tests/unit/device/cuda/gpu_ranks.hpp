// Ranks with a GPU each, for tests: threads here, each with a back end and NCCL's communicator.
#pragma once

#include <algorithm>
#include <cstring>

#include "concordat/comm/threads.hpp"
#include "concordat/device/ops/elementwise.hpp"
#include "concordat/device/pending.hpp"
#include "unit/comm/collectives_suite.hpp"

namespace concordat::device::testing {

/// The suite's tensors in the memory of a session's device.
class DeviceDesk final : public comm::Desk {
 public:
  explicit DeviceDesk(Session& session) : session_(session) {}
  Stream& stream() override { return session_.exec().stream; }
  Tensor put(const Tensor& host) override {
    Tensor there = session_.backend().allocate(host.dtype(), host.shape());
    write_bytes(session_.exec(), there, {host.raw_bytes(), host.size_bytes()});
    return there;
  }
  Tensor get(const Tensor& tensor) override {
    Tensor host = host_tensor(tensor.dtype(), tensor.shape());
    read_bytes(session_.exec(), tensor, host.raw_bytes(), host.storage()).wait();
    return host;
  }
  void copy(const Tensor& out, const Tensor& in) override {
    device::copy(session_.exec(), out, in);
  }
  bool as_comm_says() const override { return session_.backend().sums_in_fixed_order(); }

 private:
  Session& session_;
};

}  // namespace concordat::device::testing
