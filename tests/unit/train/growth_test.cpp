// Memory does not grow after the first step, in any layout: not the pool of activations, not the
// arena, not what all ranks together hold in objects. Rank counts: 2, 3, 4, 8.
#include <malloc.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <new>

#include "support.hpp"

// All objects of this program are counted: what malloc holds says less, because each thread keeps
// some of what it frees.
namespace {
std::atomic<std::ptrdiff_t> live_bytes{0};
}

void* operator new(std::size_t size) {
  void* memory = std::malloc(std::max<std::size_t>(size, 1));
  if (memory == nullptr) throw std::bad_alloc();
  live_bytes += static_cast<std::ptrdiff_t>(malloc_usable_size(memory));
  return memory;
}
void operator delete(void* memory) noexcept {
  live_bytes -= static_cast<std::ptrdiff_t>(malloc_usable_size(memory));
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }

namespace concordat::train::test {
namespace {

struct Layout {
  const char* name;
  parallel::MeshShape shape;
  std::function<void(TrainSettings&)> choose;
};

TrainSettings settings_of(const Layout& layout) {
  TrainSettings settings = tiny_settings();
  settings.model = {.vocab = 97, .width = 24, .layers = 4, .heads = 6, .kv_heads = 2, .ffn = 48};
  settings.length = GlobalLength(24);
  settings.batch = 8;
  settings.micro_batch = 1;
  settings.bucket_elements = 2000;
  layout.choose(settings);
  return settings;
}

/// MadeUpData remembers what it was asked.
class ForgetfulData final : public TrainingData {
 public:
  explicit ForgetfulData(std::int64_t vocab) : vocab_(vocab) {}
  void sample(std::uint64_t index, std::span<std::int32_t> tokens) override {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] =
          static_cast<std::int32_t>((static_cast<std::int64_t>(index) + 3 * std::ssize(tokens) +
                                     static_cast<std::int64_t>(i * i)) %
                                    vocab_);
    }
  }

 private:
  std::int64_t vocab_;
};

/// The objects of all ranks after each of four windows of steps. Messages on their way come and go;
/// what a step leaves behind, be it one small object, is in every window.
void expect_no_growth(const Layout& layout) {
  SCOPED_TRACE(layout.name);
  constexpr int kSteps = 8;
  const TrainSettings settings = settings_of(layout);
  std::array<std::ptrdiff_t, 4> held{};
  comm::run_threads(layout.shape.size(), [&](comm::Communicator& comm) {
    device::Session session("cpu");
    parallel::ProcessMesh mesh(comm, layout.shape);
    ForgetfulData data(settings.model.vocab);
    Trainer trainer(settings, session.exec(), mesh, data, system_clock());
    for (int i = 0; i < 2; ++i) trainer.step();
    const std::size_t allocations = trainer.stage().pool().num_allocations();
    session.exec().arena.freeze();
    for (std::size_t window = 0; window < held.size(); ++window) {
      for (int i = 0; i < kSteps; ++i) trainer.step();
      comm.barrier();
      if (comm.rank() == 0) held[window] = live_bytes;
      comm.barrier();
    }
    EXPECT_EQ(trainer.stage().pool().num_allocations(), allocations) << "rank " << comm.rank();
  });
  const std::ptrdiff_t least = std::min({held[1] - held[0], held[2] - held[1], held[3] - held[2]});
  constexpr std::ptrdiff_t smallest_object = 24;
  EXPECT_LT(least, kSteps * smallest_object)
      << held[0] << ", " << held[1] << ", " << held[2] << ", " << held[3];
}

TEST(Growth, NoLayoutGrowsAfterTheFirstSteps) {
  const auto plain = [](TrainSettings&) {};
  const auto schedule = [](const char* name, int chunks) {
    return [=](TrainSettings& s) { s.schedule = name, s.chunks = chunks; };
  };
  const Layout layouts[] = {
      {"dp 2", {.dp = 2}, plain},
      {"dp 3, no overlap", {.dp = 3}, [](TrainSettings& s) { s.overlap = false; }},
      {"dp 2, ZeRO-1", {.dp = 2}, [](TrainSettings& s) { s.zero = 1; }},
      {"tp 2", {.tp = 2}, plain},
      {"tp 3 with shared heads, sequence parallel",
       {.tp = 3},
       [](TrainSettings& s) { s.model.kv_heads = 1, s.sequence_parallel = true; }},
      {"cp 2", {.cp = 2}, plain},
      {"pp 2, gpipe", {.pp = 2}, schedule("gpipe", 1)},
      {"pp 2, 1f1b", {.pp = 2}, schedule("1f1b", 1)},
      {"pp 2, zb-h1", {.pp = 2}, schedule("zb-h1", 1)},
      {"pp 2, interleaved", {.pp = 2}, schedule("interleaved", 2)},
      {"pp 2, bf16, recompute",
       {.pp = 2},
       [](TrainSettings& s) { s.compute = Dtype::bf16, s.recompute = model::Recompute::block; }},
      {"pp 3, tied", {.pp = 3}, [](TrainSettings& s) { s.model.tied = true; }},
      {"gpt2, pp 2 x tp 2",
       {.pp = 2, .tp = 2},
       [](TrainSettings& s) {
         s.model.family = model::Family::gpt2;
         s.model.kv_heads = s.model.heads;
         s.model.positions = 24;
       }},
      {"all axes, ZeRO-1, bf16",
       {.dp = 2, .cp = 2, .tp = 2},
       [](TrainSettings& s) { s.zero = 1, s.compute = Dtype::bf16, s.sequence_parallel = true; }},
      {"dp 2 x pp 2 x tp 2", {.dp = 2, .pp = 2, .tp = 2}, plain}};
  for (const Layout& layout : layouts) expect_no_growth(layout);
}

}  // namespace
}  // namespace concordat::train::test
