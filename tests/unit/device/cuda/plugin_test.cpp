// train.device=cuda: what make_backend says about plug-ins that are absent, wrong or without a GPU,
// and ops through one that is right (the emulated plug-in as a file).
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "concordat/device/backend.hpp"
#include "concordat/device/errors.hpp"
#include "concordat/device/ops/elementwise.hpp"
#include "concordat/device/pending.hpp"

namespace concordat::device {
namespace {

Error error_with(const char* plugin) {
  ::setenv("CONCORDAT_CUDA_PLUGIN", plugin, 1);
  try {
    make_backend("cuda");
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << plugin << ": no error";
  return Error(errors::no_cuda_plugin, {});
}

TEST(CudaPlugin, AbsentIsOneMessageWithTheWayOut) {
  ::unsetenv("CONCORDAT_CUDA_PLUGIN");
  try {
    make_backend("cuda");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), errors::no_cuda_plugin);
    EXPECT_NE(error.fields().found.find("libconcordat_cuda.so"), std::string::npos);
    EXPECT_NE(error.fields().remedy.find("CONCORDAT_WITH_CUDA=ON"), std::string::npos);
  }
}

TEST(CudaPlugin, AFileThatIsNoLibraryDoesNotLoad) {
  const Error error = error_with(CONCORDAT_SOURCE_DIR "/README.md");
  EXPECT_EQ(error.code(), errors::no_cuda_plugin);
  EXPECT_EQ(error.fields().what, "the CUDA plug-in does not load");
}

TEST(CudaPlugin, ALibraryOfSomebodyElseIsRefused) {
  Dl_info libm{};
  ASSERT_NE(::dladdr(reinterpret_cast<void*>(static_cast<double (*)(double)>(&::cos)), &libm), 0);
  const Error error = error_with(libm.dli_fname);
  EXPECT_EQ(error.code(), errors::no_cuda_plugin);
  EXPECT_EQ(error.fields().what, "this file is no CUDA plug-in of Concordat");
}

TEST(CudaPlugin, OneFromOtherContractsIsRefusedBeforeItIsUsed) {
  const Error error = error_with(CONCORDAT_STALE_PLUGIN);
  EXPECT_EQ(error.code(), errors::no_cuda_plugin);
  EXPECT_EQ(error.fields().what, "the CUDA plug-in does not fit this program");
  EXPECT_EQ(error.fields().found, "concordat 0.0.1, of long ago");
}

TEST(CudaPlugin, ErrorsOfThePluginArriveTyped) {
  ::setenv("CUDA_EMULATOR_DRIVER", "0", 1);
  const Error error = error_with(CONCORDAT_EMULATED_PLUGIN);
  EXPECT_EQ(error.code(), errors::no_gpu);
  EXPECT_EQ(error.fields().found, "no NVIDIA driver");
}

TEST(CudaPlugin, OpsRunThroughTheLoadedFile) {
  ::setenv("CONCORDAT_CUDA_PLUGIN", CONCORDAT_EMULATED_PLUGIN, 1);
  ::setenv("CUDA_EMULATOR_DRIVER", "13000", 1);
  Session session(make_backend("cuda"));
  EXPECT_EQ(session.backend().name(), "cuda");
  const Tensor x = session.upload<float>({3}, {1, 2, 3});
  add(session.exec(), x, x, x);
  EXPECT_EQ(read_back_all<float>(session.exec(), x).get(), (std::vector<float>{2, 4, 6}));
}

}  // namespace
}  // namespace concordat::device
