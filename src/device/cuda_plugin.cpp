#include "device/cuda_plugin.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "concordat/device/errors.hpp"
#include "device/cuda/plugin_contract.hpp"

namespace concordat::device {
namespace {

constexpr const char* variable = "CONCORDAT_CUDA_PLUGIN";

std::vector<std::filesystem::path> candidates() {
  if (const char* named = std::getenv(variable); named != nullptr && *named != '\0') {
    return {named};
  }
  std::error_code none;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", none).parent_path();
  return {program / cuda::library_name,
          program.parent_path() / "lib" / "concordat" / cuda::library_name};
}

[[noreturn]] void refuse(std::string what, std::string where, std::string found,
                         std::string expected, std::string remedy) {
  throw Error(errors::no_cuda_plugin, {.what = std::move(what),
                                       .where = std::move(where),
                                       .found = std::move(found),
                                       .expected = std::move(expected),
                                       .remedy = std::move(remedy)});
}

/// Empty: there is none.
std::filesystem::path installed() {
  for (const auto& each : candidates()) {
    std::error_code none;
    if (std::filesystem::exists(each, none)) return each;
  }
  return {};
}

template <typename Function>
Function* symbol_of(void* library, const char* name, const std::string& file) {
  void* found = ::dlsym(library, name);
  if (found == nullptr) {
    refuse("this file is no CUDA plug-in of Concordat", file, std::string("no symbol ") + name,
           cuda::contract, std::string("point ") + variable + " to another file, or unset it");
  }
  return reinterpret_cast<Function*>(found);
}

std::unique_ptr<Backend> load(const std::filesystem::path& file, const BackendOptions& options) {
  // Never closed: its code is in use until the last tensor goes.
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* reason = ::dlerror();
    refuse("the CUDA plug-in does not load", file, reason == nullptr ? "no reason" : reason,
           "a library whose own libraries (cudart, cuBLASLt, NCCL) are found",
           "load the CUDA module that it was built with, or set train.device=cpu");
  }
  auto* contract = symbol_of<cuda::ContractFunction>(library, cuda::contract_symbol, file);
  if (const std::string found = contract(); found != cuda::contract) {
    refuse("the CUDA plug-in does not fit this program", file, found, cuda::contract,
           "install both from one build, or set train.device=cpu");
  }
  auto* make = symbol_of<cuda::MakeBackendFunction>(library, cuda::make_backend_symbol, file);
  return std::unique_ptr<Backend>(make(options));
}

}  // namespace

std::unique_ptr<Backend> make_cuda_plugin_backend(const BackendOptions& options) {
  const auto file = installed();
  if (file.empty()) {
    std::string places;
    for (const auto& each : candidates()) places += (places.empty() ? "" : ", ") + each.string();
    refuse("there is no CUDA plug-in", "train.device", "nothing at " + places, cuda::library_name,
           std::string("build with -DCONCORDAT_WITH_CUDA=ON and install, name the file in ") +
               variable + ", or set train.device=cpu");
  }
  return load(file, options);
}

}  // namespace concordat::device
