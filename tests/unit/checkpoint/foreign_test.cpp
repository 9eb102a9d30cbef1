// Other programs read state.h5: h5py where python3 has it, else h5dump.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "concordat/checkpoint/checkpoint.hpp"
#include "concordat/comm/threads.hpp"
#include "support/temporary_folder.hpp"
#include "unit/checkpoint/test_state.hpp"

namespace concordat::checkpoint {
namespace {

/// Output of a command; empty if it fails.
std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen((command + " 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) return {};
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) text += static_cast<char>(c);
  return ::pclose(pipe) == 0 ? text : std::string();
}

std::string python_with_h5py() {
  for (const char* python : {"python3", "/usr/bin/python3"}) {
    if (!output_of(std::string(python) + " -c 'import h5py; print(1)'").empty()) return python;
  }
  return {};
}

TEST(Foreign, h5py_reads_shapes_types_and_values) {
  const std::string python = python_with_h5py();
  if (python.empty()) GTEST_SKIP() << "skipped: no h5py";
  testing_support::TemporaryFolder folder;
  comm::run_threads(3, [&](comm::Communicator& comm) {
    TestState state(comm, {3, 1, 1, 1});
    state.fill(0);
    auto* first = state.tensors[0].local.span<float>().data();
    for (int i = 0; i < 66; ++i) first[i] = static_cast<float>(i) / 4.0F;
    save_generation(comm, posix_files(), folder.path(), {.step = 1, .round = 0}, state.tensors, {});
  });
  const std::string script =
      std::string(CONCORDAT_SOURCE_DIR) + "/tests/unit/checkpoint/read_h5.py";
  EXPECT_EQ(output_of(python + " " + script + " " + (folder.path() / "step-000001").string()),
            "concordat-checkpoint-1\n"
            "embed [11, 6] float32 16.25\n"
            "o [300, 480] bf16 same\n"
            "counter [] int64 693\n"
            "contiguous, manifest agrees\n");
}

TEST(Foreign, h5dump_reads_values) {
  if (output_of("h5dump --version").empty()) GTEST_SKIP() << "skipped: no h5dump";
  testing_support::TemporaryFolder folder;
  comm::run_threads(2, [&](comm::Communicator& comm) {
    TestState state(comm, {1, 1, 1, 2});
    state.fill(0);
    save_generation(comm, posix_files(), folder.path(), {.step = 1, .round = 0}, state.tensors, {});
  });
  const std::string text =
      output_of("h5dump -d /counter " + (folder.path() / "step-000001" / "state.h5").string());
  EXPECT_NE(text.find("(0): 693"), std::string::npos) << text;
}

}  // namespace
}  // namespace concordat::checkpoint
