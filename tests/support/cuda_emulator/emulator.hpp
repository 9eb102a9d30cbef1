// What tests ask of the emulated CUDA, and do to it.
//
//   cuda_emulator::fail_call(7);              // the 7th call from now fails
//   EXPECT_THROW(program(), Error);
//   EXPECT_EQ(cuda_emulator::census().allocations, 0U);
//   cuda_emulator::recover();                 // as a new process would find it
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace cuda_emulator {

/// What is alive.
struct Census {
  std::size_t allocations = 0;
  std::size_t allocated_bytes = 0;
  std::size_t pinned = 0;
  std::size_t streams = 0;
  std::size_t events = 0;
  std::size_t blas_objects = 0;
  std::size_t links = 0;   ///< NCCL's communicators
  std::size_t graphs = 0;  ///< also executable ones
  std::size_t things() const {
    return allocations + pinned + streams + events + blas_objects + links + graphs;
  }
};
Census census();

/// API calls since the process started.
std::uint64_t calls();
/// The `number`th call from now fails (1 is the next); 0: none does.
void fail_call(std::uint64_t number);
/// The same for the `number`th call of this name. For programs of several ranks, which ask NCCL how
/// it goes ever so often.
void fail_call(const std::string& name, std::uint64_t number);
/// How often each function was called since the last time that this was asked.
std::map<std::string, std::uint64_t> take_called();
/// Name of the call that fail_call made fail, empty while it has not come.
std::string failed_call();

/// What a kernel or copy did wrong; empty: nothing. The device is lost until recover().
std::string fault_text();
/// Forgets the fault. @pre nothing is alive.
void recover();

/// Accesses of kernels of at least 128 bits since the process started.
std::uint64_t wide_accesses();

/// Runs blocks and threads from the last to the first: a kernel whose result depends on it has a
/// race.
void reverse_order(bool reversed);

/// Of the machine that is played. Driver 0: none is installed.
void play_driver(int version);
void play_devices(int count, int major = 9);
/// false: cuBLASLt has products with a bias at most.
void play_epilogues(bool there);
void play_memory(std::size_t bytes);
/// Of NCCL, as 22703 for 2.27.3.
void play_nccl(int version);
/// NCCL's communicators of a device report an error by themselves from now on.
void break_links(int device);

}  // namespace cuda_emulator
