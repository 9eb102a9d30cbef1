// Pending: a device value on its way to the host, the only way a host value is made.
//
//   Pending<float> loss = read_back<float>(exec, loss_0d);
//   ... enqueue the next step ...
//   log(loss.get());                                     // waits, rethrows what the stream threw
//   std::vector<float> all = read_back_all<float>(exec, weights).get();
#pragma once

#include <memory>
#include <vector>

#include "concordat/device/exec.hpp"

namespace concordat::device {

template <typename T>
class Pending {
 public:
  Pending(Event done, std::shared_ptr<T> value)
      : done_(std::move(done)), value_(std::move(value)) {}
  bool ready() const { return done_.happened(); }
  /// Blocks the host until the value is there. May be called again.
  const T& get() const {
    done_.wait();
    return *value_;
  }

 private:
  Event done_;
  std::shared_ptr<T> value_;
};

/// Enqueues a copy of `in` (contiguous or strided) to host memory that `keep` keeps alive.
Event read_bytes(Exec& exec, const Tensor& in, std::byte* to, std::shared_ptr<const void> keep);

/// @pre one element of dtype T.
template <typename T>
Pending<T> read_back(Exec& exec, const Tensor& in) {
  CONCORDAT_REQUIRE(in.size() == 1 && in.dtype() == dtype_of<T>, to_string(in.shape()));
  auto value = std::make_shared<T>();
  Event done = read_bytes(exec, in, reinterpret_cast<std::byte*>(value.get()), value);
  return {std::move(done), std::move(value)};
}

/// All elements, row-major.
template <typename T>
Pending<std::vector<T>> read_back_all(Exec& exec, const Tensor& in) {
  CONCORDAT_REQUIRE(in.dtype() == dtype_of<T>, std::string(name_of(in.dtype())));
  auto values = std::make_shared<std::vector<T>>(static_cast<std::size_t>(in.size()));
  Event done = read_bytes(exec, in, reinterpret_cast<std::byte*>(values->data()), values);
  return {std::move(done), std::move(values)};
}

}  // namespace concordat::device
