#include "concordat/device/backend.hpp"

#include "concordat/device/errors.hpp"
#include "device/cpu/cpu_backend.hpp"
#include "device/cuda_plugin.hpp"
#include "device/reference/reference_backend.hpp"
#include "device/strict/strict_backend.hpp"

namespace concordat::device {

std::unique_ptr<Backend> make_backend(std::string_view name, const BackendOptions& options) {
  if (options.tf32 && name != "cuda") {
    throw Error(errors::not_on_this_device, {.what = "only GPUs multiply in TF32",
                                             .where = "train.tf32",
                                             .found = "train.device=" + std::string(name),
                                             .expected = "train.device=cuda",
                                             .remedy = "set train.tf32=false"});
  }
  if (name == "reference") return make_reference_backend();
  if (name == "strict") return make_strict_backend();
  if (name == "cpu" || name == "auto") return make_cpu_backend();
  if (name == "cuda") return make_cuda_plugin_backend(options);
  std::string known = "auto, cuda";
  for (const std::string& each : backend_names()) known += ", " + each;
  throw Error(errors::unknown_backend, {.what = "no such back end",
                                        .where = "train.device",
                                        .found = std::string(name),
                                        .expected = known,
                                        .remedy = "name one of these"});
}

std::vector<std::string> backend_names() {
  std::vector<std::string> names{"reference", "strict"};
  if (cpu_backend_usable()) names.emplace_back("cpu");
  return names;
}

std::string instructions_in_use() {
  return cpu_backend_usable() ? cpu_instructions() : "no AVX2: only the reference back end";
}

}  // namespace concordat::device
