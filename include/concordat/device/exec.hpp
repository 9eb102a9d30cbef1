// Exec: what every op takes first: back end, stream, arena.
//
//   device::Session session("cpu");            // owns the three
//   device::Exec& exec = session.exec();
//   Tensor w = session.upload<float>({2, 2}, {1, 2, 3, 4});
//
// Rules for all ops (device/ops/*.hpp):
// - `op(exec, outputs, inputs, options)`. The caller allocates the outputs; scratch comes from the
//   arena; an op never allocates, blocks or returns a host value.
// - Shapes, dtypes and places are checked on the host when the op is called (Bug).
// - A matrix may be a row-strided view (last stride 1), such as a slice of columns.
// - Outputs must not overlap inputs unless the op says "in place allowed".
// - Gradients of weights are added to (buckets start at zero); gradients of inputs are set, or
// added
//   with Write::accumulate.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "concordat/device/arena.hpp"
#include "concordat/device/backend.hpp"

namespace concordat::device {

struct Exec {
  Backend& backend;
  Stream& stream;
  Arena& arena;
};

/// Whether an output is overwritten or added to.
enum class Write { set, accumulate };

/// Copies host values into `out` in stream order. `values` may be reused as soon as it returns.
/// @pre out is contiguous and holds exactly the values.
void write_bytes(Exec& exec, const Tensor& out, std::span<const std::byte> values);
template <typename T>
void write(Exec& exec, const Tensor& out, std::span<const T> values) {
  CONCORDAT_REQUIRE(out.dtype() == dtype_of<T>, std::string(name_of(out.dtype())));
  write_bytes(exec, out, std::as_bytes(values));
}

/// A back end with one stream and its arena.
class Session {
 public:
  explicit Session(std::string_view backend_name, const BackendOptions& options = {});
  explicit Session(std::unique_ptr<Backend> backend);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  Exec& exec() { return exec_; }
  Backend& backend() { return *backend_; }
  const Backend& backend() const { return *backend_; }
  /// A new tensor with these values.
  template <typename T>
  Tensor upload(const Shape& shape, std::span<const T> values) {
    Tensor out = backend_->allocate(dtype_of<T>, shape);
    write<T>(exec_, out, values);
    return out;
  }
  template <typename T>
  Tensor upload(const Shape& shape, std::initializer_list<T> values) {
    return upload<T>(shape, std::span<const T>(values.begin(), values.size()));
  }

 private:
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Stream> stream_;
  Arena arena_;
  Exec exec_;
};

}  // namespace concordat::device
