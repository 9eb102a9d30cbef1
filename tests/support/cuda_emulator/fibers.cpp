#include "fibers.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

// Saves the callee-saved registers on the running stack, leaves it at *save and goes on at `load`.
extern "C" void cuda_emulator_switch(void** save, void* load);
asm(R"(
  .text
  .hidden cuda_emulator_switch
  .globl cuda_emulator_switch
  .type cuda_emulator_switch, @function
cuda_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size cuda_emulator_switch, .-cuda_emulator_switch
)");

namespace cuda_emulator {
namespace {

constexpr std::size_t stack_bytes = std::size_t{64} << 10U;
constexpr unsigned lanes_per_warp = 32;
constexpr unsigned most_threads = 1024;
constexpr unsigned whole_warp = 0xFFFFFFFFU;

/// A stack with a page behind it that nothing may touch.
class Stack {
 public:
  Stack()
      : base_(::mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                     0)) {
    if (base_ == MAP_FAILED) throw std::bad_alloc();
    ::mprotect(base_, 4096, PROT_NONE);
  }
  ~Stack() { ::munmap(base_, stack_bytes); }
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  /// Where the stack pointer has to be for a switch to "return" into `entry`.
  void* prepared(void (*entry)()) {
    auto* top = reinterpret_cast<void**>(static_cast<std::byte*>(base_) + stack_bytes) - 2;
    *top = reinterpret_cast<void*>(entry);
    std::fill(top - 6, top, nullptr);
    return top - 6;
  }

 private:
  void* base_;
};

struct Fiber {
  Stack* stack = nullptr;
  void* at = nullptr;
  const std::uint32_t* waits_for = nullptr;  // nullptr: does not wait
  std::uint32_t seen = 0;                    // goes on when *waits_for is another number
  bool done = false;
};

struct Warp {
  std::uint32_t exchanges = 0;  // completed ones
  std::uint32_t barriers = 0;
  unsigned arrived = 0;
  unsigned gone = 0;
  // Two sets: a lane may come to the next exchange while others still read this one.
  std::array<std::array<std::uint64_t, lanes_per_warp>, 2> values{};
};

struct Block {
  const std::function<void()>* body = nullptr;
  dim3 shape;
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  std::uint32_t serial = 0;
  std::uint32_t barriers = 0;
  unsigned arrived = 0;
  unsigned gone = 0;
  std::array<bool, 2> votes{};
  unsigned running = 0;
  void* scheduler = nullptr;
  bool failed = false;
  std::string why;
};

thread_local Block* block = nullptr;

Warp& my_warp() { return block->warps[block->running / lanes_per_warp]; }

void yield() { cuda_emulator_switch(&block->fibers[block->running].at, block->scheduler); }

void wait_for_change(const std::uint32_t& counter, std::uint32_t seen) {
  Fiber& me = block->fibers[block->running];
  me.waits_for = &counter;
  me.seen = seen;
  yield();
  if (block->failed) throw KernelFault(block->why);
}

void fiber_main() {
  try {
    (*block->body)();
    if (block->arrived > 0) fault("a thread ended while others of its block wait at a barrier");
    if (my_warp().arrived > 0) fault("a lane ended while others of its warp wait for it");
  } catch (const KernelFault& error) {
    if (!block->failed) block->why = error.what();
    block->failed = true;
  }
  block->fibers[block->running].done = true;
  ++block->gone;
  ++my_warp().gone;
  yield();  // for ever
}

void enter(unsigned index) {
  const dim3& shape = block->shape;
  block->running = index;
  threadIdx = {index % shape.x, index / shape.x % shape.y, index / (shape.x * shape.y)};
  running_thread = {block->serial, block->barriers, my_warp().barriers,
                    static_cast<std::int32_t>(index)};
  cuda_emulator_switch(&block->scheduler, block->fibers[index].at);
}

/// Stacks are kept: most blocks look like the one before.
class StackPool {
 public:
  Stack* take() {
    if (free_.empty()) return new Stack();
    Stack* got = free_.back().release();
    free_.pop_back();
    return got;
  }
  void give_back(Stack* stack) { free_.emplace_back(stack); }

 private:
  std::vector<std::unique_ptr<Stack>> free_;
};
thread_local StackPool stacks;

void run_block(Block& b) {
  unsigned left = static_cast<unsigned>(b.fibers.size());
  while (left > 0) {
    bool moved = false;
    for (unsigned turn = 0; turn < b.fibers.size(); ++turn) {
      const auto i = from_the_last ? static_cast<unsigned>(b.fibers.size()) - 1 - turn : turn;
      Fiber& fiber = b.fibers[i];
      if (fiber.done) continue;
      if (fiber.waits_for != nullptr && *fiber.waits_for == fiber.seen && !b.failed) continue;
      if (fiber.stack == nullptr) {
        if (b.failed) {  // never started
          fiber.done = true;
          --left;
          continue;
        }
        fiber.stack = stacks.take();
        fiber.at = fiber.stack->prepared(&fiber_main);
      }
      fiber.waits_for = nullptr;
      moved = true;
      enter(i);
      if (fiber.done) {
        stacks.give_back(fiber.stack);
        --left;
      }
    }
    if (!moved && left > 0 && !b.failed) {
      b.failed = true;
      b.why =
          "threads of a block wait for each other: not all reach the same barrier or warp "
          "primitive";
    }
  }
}

std::atomic<std::uint32_t> serials{0};

}  // namespace

void fault(const std::string& what) { throw KernelFault(what); }

void block_barrier() { block_barrier_or(false); }

bool block_barrier_or(bool vote) {
  if (block->gone > 0) fault("a barrier that some threads of the block have passed by");
  const std::uint32_t turn = block->barriers;
  block->votes[turn % 2] = (block->arrived > 0 && block->votes[turn % 2]) || vote;
  if (++block->arrived == block->fibers.size()) {
    block->arrived = 0;
    ++block->barriers;
  } else {
    wait_for_change(block->barriers, turn);
  }
  running_thread.block_epoch = block->barriers;
  return block->votes[turn % 2];
}

const std::uint64_t* warp_exchange(unsigned mask, std::uint64_t value) {
  if (mask != whole_warp) fault("a warp primitive on part of a warp: not emulated");
  Warp& warp = my_warp();
  if (warp.gone > 0) fault("a warp primitive that some lanes have passed by");
  const std::uint32_t turn = warp.exchanges;
  auto& values = warp.values[turn % 2];
  values[block->running % lanes_per_warp] = value;
  if (++warp.arrived == lanes_per_warp) {
    warp.arrived = 0;
    ++warp.exchanges;
  } else {
    wait_for_change(warp.exchanges, turn);
  }
  return values.data();
}

void warp_barrier(unsigned mask) {
  Warp& warp = my_warp();
  const std::uint32_t turn = warp.exchanges;
  warp_exchange(mask, 0);
  // The lane that comes through first counts for all.
  if (warp.barriers <= turn) warp.barriers = turn + 1;
  running_thread.warp_epoch = warp.barriers;
}

void run_grid(dim3 grid, dim3 shape, const std::function<void()>& body) {
  const std::uint64_t threads = std::uint64_t{shape.x} * shape.y * shape.z;
  if (threads == 0 || threads > most_threads || threads % lanes_per_warp != 0) {
    throw KernelFault("a block of " + std::to_string(threads) +
                      " threads: 32 to 1024 in whole warps");
  }
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535) {
    throw KernelFault("a grid that the hardware does not take");
  }
  gridDim = grid;
  blockDim = shape;
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx =
            from_the_last ? uint3{grid.x - 1 - x, grid.y - 1 - y, grid.z - 1 - z} : uint3{x, y, z};
        Block now;
        now.body = &body;
        now.shape = shape;
        now.fibers.resize(threads);
        now.warps.resize(threads / lanes_per_warp);
        now.serial = ++serials;
        block = &now;
        run_block(now);
        block = nullptr;
        running_thread = Here{};
        if (now.failed) throw KernelFault(now.why);
      }
    }
  }
}

}  // namespace cuda_emulator
