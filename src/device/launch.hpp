// launch: calls a kernel now (immediate back ends) or enqueues it with copies of its arguments,
// which keep the tensors' storage alive. Checks that every tensor is in the back end's memory.
#pragma once

#include <tuple>
#include <type_traits>

#include "device/kernels.hpp"
#include "device/views.hpp"

namespace concordat::device {

namespace detail {
template <typename Arg>
void check_place(const Kernels& kernels, const Arg& arg) {
  if constexpr (std::is_same_v<Arg, Tensor>) {
    CONCORDAT_REQUIRE(arg.empty() || arg.place() == kernels.place(),
                      "a tensor of another back end, or host memory given to a device op");
  }
}
}  // namespace detail

template <typename Method, typename... Args>
void launch(Exec& exec, Method method, const Args&... args) {
  Kernels& kernels = exec.backend.kernels(exec.stream);
  (detail::check_place(kernels, args), ...);
  if (exec.backend.immediate()) {
    (kernels.*method)(args...);
    return;
  }
  exec.stream.enqueue([&kernels, method, copies = std::tuple<Args...>(args...)] {
    std::apply([&](const Args&... held) { (kernels.*method)(held...); }, copies);
  });
}

/// The dtype an op computes in: f32, or f64 on a back end that has it (the reference, for finite
/// differences).
inline Dtype compute_dtype(Exec& exec, const Tensor& t) {
  CONCORDAT_REQUIRE(!t.empty(), "output missing");
  CONCORDAT_REQUIRE(
      t.dtype() == Dtype::f32 ||
          (t.dtype() == Dtype::f64 && exec.backend.kernels(exec.stream).supports(Dtype::f64)),
      std::string(exec.backend.name()) + " does not compute in " + std::string(name_of(t.dtype())));
  return t.dtype();
}

inline bool is_narrow(const Tensor& t) {
  return t.dtype() == Dtype::bf16 || t.dtype() == Dtype::f16;
}

/// What a kernel writes where the caller asked for 16-bit numbers: the caller's tensor if the back
/// end's kernels round themselves, else f32 in scratch, which finish() rounds. Both give the same
/// values. Make it inside an ArenaScope.
class NarrowOutput {
 public:
  NarrowOutput(Exec& exec, const Tensor& wanted) : exec_(exec), wanted_(wanted) {
    CONCORDAT_REQUIRE(!wanted.empty(), "output missing");
    direct_ = !narrow() || exec.backend.kernels(exec.stream).rounds_outputs(wanted.dtype());
    written_ = direct_ ? wanted : exec.arena.take(Dtype::f32, wanted.shape());
  }
  /// Whether the kernel reads this input without its being widened.
  bool reads(const Tensor& input) const { return direct_ && input.dtype() == wanted_.dtype(); }
  bool narrow() const { return is_narrow(wanted_); }
  const Tensor& tensor() const { return written_; }
  void finish() const {
    if (!direct_) launch(exec_, &Kernels::copy, wanted_, written_);
  }

 private:
  Exec& exec_;
  const Tensor& wanted_;
  Tensor written_;
  bool direct_ = true;
};

/// An input that may hold 16-bit numbers: as it is where the kernel reads it (`direct`) or it is
/// wide, else widened into scratch. Make it inside an ArenaScope.
inline Tensor wide_input(Exec& exec, const Tensor& t, bool direct) {
  if (direct || (t.dtype() != Dtype::bf16 && t.dtype() != Dtype::f16)) return t;
  Tensor wide = exec.arena.take(Dtype::f32, t.shape());
  launch(exec, &Kernels::copy, wide, t);
  return wide;
}

/// Scratch of `bytes` bytes from the arena; empty for 0. Take it inside an ArenaScope.
inline Tensor take_scratch(Exec& exec, std::size_t bytes) {
  if (bytes == 0) return {};
  return exec.arena.take(Dtype::u8, {static_cast<std::int64_t>(bytes)});
}

}  // namespace concordat::device
