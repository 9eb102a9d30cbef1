#include <cstring>
#include <vector>

#include "concordat/core/copy.hpp"
#include "device/reference/reference_kernels.hpp"
#include "device/views.hpp"

namespace concordat::device {
namespace {

// Visits the elements of equally shaped tensors in row-major order, with their byte offsets.
template <typename Visit>
void walk(const Shape& shape, const Shape& strides_a, const Shape& strides_b, Visit&& visit) {
  std::int64_t count = num_elements(shape);
  std::vector<std::int64_t> index(shape.size(), 0);
  std::int64_t a = 0;
  std::int64_t b = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    visit(a, b);
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      a += strides_a[axis];
      b += strides_b[axis];
      if (++index[axis] < shape[axis]) break;
      a -= strides_a[axis] * shape[axis];
      b -= strides_b[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

double load(const Tensor& t, std::int64_t at) {
  const std::byte* from = t.raw_bytes() + at * static_cast<std::int64_t>(size_of(t.dtype()));
  auto as = [&](auto zero) {
    std::memcpy(&zero, from, sizeof zero);
    return zero;
  };
  switch (t.dtype()) {
    case Dtype::f32:
      return double{as(float{})};
    case Dtype::f64:
      return as(double{});
    case Dtype::bf16:
      return double{to_float(as(Bf16{}))};
    case Dtype::f16:
      return double{to_float(as(F16{}))};
    case Dtype::i32:
      return double{static_cast<double>(as(std::int32_t{}))};
    case Dtype::i64:
      return static_cast<double>(as(std::int64_t{}));
    case Dtype::u8:
      return double{static_cast<double>(as(std::uint8_t{}))};
    case Dtype::u16:
      return double{static_cast<double>(as(std::uint16_t{}))};
    case Dtype::u32:
      return double{static_cast<double>(as(std::uint32_t{}))};
  }
  throw Bug("dtype");
}

void store(const Tensor& t, std::int64_t at, double value) {
  std::byte* to = t.raw_bytes() + at * static_cast<std::int64_t>(size_of(t.dtype()));
  auto as = [&](auto typed) { std::memcpy(to, &typed, sizeof typed); };
  switch (t.dtype()) {
    case Dtype::f32:
      return as(static_cast<float>(value));
    case Dtype::f64:
      return as(value);
    // f64 to 16 bits goes through f32, as on every back end.
    case Dtype::bf16:
      return as(to_bf16(static_cast<float>(value)));
    case Dtype::f16:
      return as(to_f16(static_cast<float>(value)));
    case Dtype::i32:
      return as(static_cast<std::int32_t>(value));
    case Dtype::i64:
      return as(static_cast<std::int64_t>(value));
    case Dtype::u8:
      return as(static_cast<std::uint8_t>(value));
    case Dtype::u16:
      return as(static_cast<std::uint16_t>(value));
    case Dtype::u32:
      return as(static_cast<std::uint32_t>(value));
  }
}

}  // namespace

void ReferenceKernels::upload(const Tensor& out, std::span<const std::byte> values) {
  if (!values.empty()) std::memcpy(out.raw_bytes(), values.data(), values.size());
}

void ReferenceKernels::download(const Tensor& in, std::byte* to,
                                const std::shared_ptr<const void>&) {
  std::size_t size = size_of(in.dtype());
  if (in.contiguous()) {
    copy_bytes(to, in.raw_bytes(), in.size_bytes());
    return;
  }
  walk(in.shape(), in.strides(), in.strides(), [&](std::int64_t a, std::int64_t) {
    std::memcpy(to, in.raw_bytes() + a * static_cast<std::int64_t>(size), size);
    to += size;
  });
}

void ReferenceKernels::fill(const Tensor& out, const double& value) {
  walk(out.shape(), out.strides(), out.strides(),
       [&](std::int64_t a, std::int64_t) { store(out, a, value); });
}

void ReferenceKernels::copy(const Tensor& out, const Tensor& in) {
  if (out.dtype() == in.dtype()) {  // bits, so that 64-bit integers and NaN payloads survive
    auto size = static_cast<std::int64_t>(size_of(in.dtype()));
    if (out.contiguous() && in.contiguous()) {
      if (in.size() > 0) std::memmove(out.raw_bytes(), in.raw_bytes(), in.size_bytes());
      return;
    }
    walk(out.shape(), out.strides(), in.strides(), [&](std::int64_t a, std::int64_t b) {
      std::memcpy(out.raw_bytes() + a * size, in.raw_bytes() + b * size,
                  static_cast<std::size_t>(size));
    });
    return;
  }
  walk(out.shape(), out.strides(), in.strides(),
       [&](std::int64_t a, std::int64_t b) { store(out, a, load(in, b)); });
}

void ReferenceKernels::add(const Tensor& out, const Tensor& a, const Tensor& b) {
  by_dtype(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* to = out.raw<T>();
    const T* right = b.raw<T>();
    // Three stride sets: walk a against out, and look b's offset up by walking again in step.
    std::vector<std::int64_t> offsets;
    walk(out.shape(), b.strides(), b.strides(),
         [&](std::int64_t at, std::int64_t) { offsets.push_back(at); });
    std::size_t i = 0;
    walk(out.shape(), out.strides(), a.strides(), [&](std::int64_t at_out, std::int64_t at_a) {
      to[at_out] = a.raw<T>()[at_a] + right[offsets[i++]];
    });
  });
}

void ReferenceKernels::scale_by(const Tensor& inout, const Tensor& factor) {
  by_dtype(inout.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T f = *factor.raw<T>();
    walk(inout.shape(), inout.strides(), inout.strides(),
         [&](std::int64_t at, std::int64_t) { inout.raw<T>()[at] *= f; });
  });
}

void ReferenceKernels::sum(const Tensor& out, const Tensor& in, const bool& squares,
                           const Write& write, const Tensor&) {
  double total = 0.0;
  by_dtype(in.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* x = in.raw<T>();
    for (std::int64_t i = 0; i < in.size(); ++i) {
      total += squares ? double{x[i]} * double{x[i]} : double{x[i]};
    }
  });
  if (write == Write::accumulate) total += load(out, 0);
  store(out, 0, total);
}

void ReferenceKernels::sum_in_order(const Tensor& out, const Tensor& in) {
  const double* x = in.raw<double>();
  double total = 0.0;
  for (std::int64_t i = 0; i < in.size(); ++i) total += x[i];
  *out.raw<double>() = total;
}

void ReferenceKernels::sum_squares_by_block(const Tensor& out, const Tensor& in,
                                            const std::int64_t& block) {
  const float* x = in.raw<float>();
  for (std::int64_t i = 0; i < out.size(); ++i) {
    const std::int64_t end = std::min((i + 1) * block, in.size());
    double total = 0.0;
    for (std::int64_t at = i * block; at < end; ++at) total += double{x[at]} * double{x[at]};
    out.raw<double>()[i] = total;
  }
}

}  // namespace concordat::device
