// Handle: one collective or message under way.
//
//   Handle sum = comm.all_reduce(gradient, ReduceOp::sum, stream);
//   ... other work ...
//   sum.wait();                     // the host waits; ops behind it in the stream need not
//
// A Handle keeps the storage of its tensors alive, so a tensor may be dropped while it is sent.
// Dropping a Handle cancels nothing: stream order still holds.
#pragma once

#include <utility>
#include <vector>

#include "concordat/core/stream.hpp"
#include "concordat/core/tensor.hpp"

namespace concordat::comm {

class Handle {
 public:
  /// Done already.
  Handle() = default;
  Handle(Event event, std::vector<Tensor> tensors)
      : event_(std::move(event)), tensors_(std::move(tensors)) {}

  bool done() const { return event_.happened(); }
  /// Blocks the host until the work is done, then lets go of the tensors.
  /// @throws what the work threw, through the stream.
  void wait() {
    event_.wait();
    tensors_.clear();
  }
  const Event& event() const { return event_; }

 private:
  Event event_;
  std::vector<Tensor> tensors_;
};

}  // namespace concordat::comm
