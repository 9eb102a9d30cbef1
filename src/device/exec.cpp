#include "concordat/device/exec.hpp"

#include <vector>

#include "concordat/device/pending.hpp"
#include "device/kernels.hpp"

namespace concordat::device {

void write_bytes(Exec& exec, const Tensor& out, std::span<const std::byte> values) {
  CONCORDAT_REQUIRE(!out.empty() && out.contiguous() && out.size_bytes() == values.size(),
                    std::to_string(values.size()) + " bytes");
  Kernels& kernels = exec.backend.kernels(exec.stream);
  CONCORDAT_REQUIRE(out.place() == kernels.place(), "a tensor of another back end");
  if (exec.backend.immediate()) {
    kernels.upload(out, values);
    return;
  }
  auto held = std::make_shared<std::vector<std::byte>>(values.begin(), values.end());
  exec.stream.enqueue([&kernels, out, held] { kernels.upload(out, *held); });
}

Event read_bytes(Exec& exec, const Tensor& in, std::byte* to, std::shared_ptr<const void> keep) {
  Kernels& kernels = exec.backend.kernels(exec.stream);
  CONCORDAT_REQUIRE(!in.empty() && in.place() == kernels.place(), "a tensor of another back end");
  if (exec.backend.immediate()) {
    kernels.download(in, to, keep);
  } else {
    exec.stream.enqueue([&kernels, in, to, keep] { kernels.download(in, to, keep); });
  }
  return exec.stream.record();
}

Session::Session(std::string_view backend_name, const BackendOptions& options)
    : Session(make_backend(backend_name, options)) {}

Session::Session(std::unique_ptr<Backend> backend)
    : backend_(std::move(backend)),
      stream_(backend_->make_stream()),
      arena_(*backend_, *stream_),
      exec_{*backend_, *stream_, arena_} {}

Session::~Session() = default;

}  // namespace concordat::device
