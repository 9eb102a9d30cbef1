// What checkpoints cost: saving, restoring, and training beside saving.
//
//   mpirun -n 2 --bind-to none ./checkpoint_bench what=save folder=/scratch/cp layers=12
//   mpirun -n 2 --bind-to none ./checkpoint_bench what=restore folder=/scratch/cp layers=12
//   OMP_NUM_THREADS=2 ./checkpoint_bench what=train folder=/scratch/cp precision=bf16 pairs=3
//
// The state is that of GPT-2 with `layers` layers of width 768 (12: 124.4 M parameters): weights
// and both moments in fp32, cut in tp over the ranks. save: pause is what the caller's thread
// spends in begin() and poll(), total the time from the call until the generation is durable and
// has its name. restore: of the newest generation, after the file left the page cache, until every
// tensor is proved. train: real steps in blocks without and with one save, in turn; a block lasts
// at least ten times the write, as it was in that block. Lines are key=value, for scripts
// (checkpoint_rates.sh).
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "concordat/checkpoint/saver.hpp"
#include "concordat/comm/runtime.hpp"
#include "concordat/exact/philox.hpp"
#include "concordat/model/declaration.hpp"
#include "concordat/train/state.hpp"
#include "concordat/train/trainer.hpp"

using namespace concordat;

namespace {

using Keys = std::map<std::string, std::string>;

double now() { return std::chrono::duration<double>(system_clock().monotonic()).count(); }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

train::TrainSettings settings_of(const Keys& keys) {
  train::TrainSettings settings;
  settings.model = {.family = model::family_named("gpt2"),
                    .vocab = 50257,
                    .width = 768,
                    .layers = std::atoi(keys.at("layers").c_str()),
                    .heads = 12,
                    .kv_heads = 12,
                    .ffn = 3072,
                    .positions = 1024,
                    .tied = true};
  settings.length = train::GlobalLength(std::atoi(keys.at("length").c_str()));
  settings.batch = settings.micro_batch = std::atoi(keys.at("batch").c_str());
  settings.rate = {.peak = 6e-4, .floor = 6e-5, .warmup_steps = 10, .total_steps = 100000};
  settings.compute = train::precision_named(keys.at("precision"));
  return settings;
}

std::vector<checkpoint::NamedTensor> named(const train::HostState& state,
                                           const parallel::MeshShape& mesh,
                                           const parallel::MeshCoords& coords) {
  std::vector<checkpoint::NamedTensor> all;
  for (const auto& part : state.tensors()) {
    all.push_back(
        checkpoint::named_tensor(part.name, part.spec, Dtype::f32, part.local, mesh, coords));
  }
  return all;
}

/// Bits without a pattern, so that nothing below compresses them.
void fill(const Tensor& values, std::uint32_t seed) {
  std::uint32_t bits = seed * 2654435761U + 1;
  for (float& value : values.span<float>()) {
    bits = bits * 1664525U + 1013904223U;
    value = static_cast<float>(bits >> 8U) * 0x1p-24F - 0.5F;
  }
}

struct SaveTimes {
  double pause = 0.0, total = 0.0, write = 0.0;
  std::uint64_t bytes = 0;
};

SaveTimes save(checkpoint::Saver& saver, const std::vector<checkpoint::NamedTensor>& tensors,
               std::uint64_t step) {
  SaveTimes times;
  const double start = now();
  saver.begin({.step = step}, tensors, {{"layout", "bench"}});
  times.pause = now() - start;
  while (saver.in_flight()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const double before = now();
    if (const auto saved = saver.poll()) {
      times.bytes = saved->bytes;
      times.write = saved->write_seconds;
    }
    times.pause += now() - before;
  }
  times.total = now() - start;
  return times;
}

void leave_page_cache(const std::filesystem::path& folder) {
  const auto names = checkpoint::list_generations(posix_files(), folder);
  if (names.empty()) return;
  const int fd = ::open((folder / names.front() / "state.h5").c_str(), O_RDONLY);
  if (fd < 0) return;
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  ::close(fd);
}

int save_or_restore(comm::Communicator& comm, const Keys& keys) {
  const parallel::MeshShape mesh{.tp = comm.size()};
  const auto coords = parallel::coords_of(mesh, comm.rank());
  const auto specs = model::declare_parameters(settings_of(keys).model);
  const train::HostState state(specs, mesh, coords);
  std::uint32_t seed = static_cast<std::uint32_t>(comm.rank());
  for (const Tensor& each : {state.weights(), state.m(), state.v()}) fill(each, seed += 7);
  const auto tensors = named(state, mesh, coords);
  const std::filesystem::path folder = keys.at("folder");
  const int repeats = std::atoi(keys.at("repeats").c_str());
  if (keys.at("what") == "save") {
    checkpoint::Saver saver(comm, posix_files(), system_clock(), folder);
    saver.reserve(tensors);
    for (int i = 0; i < repeats; ++i) {
      comm.barrier();
      const SaveTimes t = save(saver, tensors, static_cast<std::uint64_t>(i + 1));
      if (comm.rank() != 0) continue;
      std::printf("save ranks=%d bytes=%llu pause_s=%.3f write_s=%.3f total_s=%.3f gb_per_s=%.3f\n",
                  comm.size(), static_cast<unsigned long long>(t.bytes), t.pause, t.write, t.total,
                  static_cast<double>(t.bytes) * 1e-9 / t.total);
    }
    return 0;
  }
  for (int i = 0; i < repeats; ++i) {
    if (comm.rank() == 0) leave_page_cache(folder);
    comm.barrier();
    const double start = now();
    const auto restored = checkpoint::restore_newest(comm, posix_files(), folder, tensors);
    comm.barrier();
    const double total = now() - start;
    if (comm.rank() != 0) continue;
    if (!restored) {
      std::fprintf(stderr, "checkpoint_bench: no generation in %s\n", folder.c_str());
      return 65;
    }
    const auto bytes = checkpoint::read_manifest(posix_files(), folder / restored->name).file_bytes;
    std::printf("restore ranks=%d bytes=%llu total_s=%.3f gb_per_s=%.3f\n", comm.size(),
                static_cast<unsigned long long>(bytes), total,
                static_cast<double>(bytes) * 1e-9 / total);
  }
  return 0;
}

class MadeUp final : public train::TrainingData {
 public:
  explicit MadeUp(std::int64_t vocab) : vocab_(static_cast<std::uint64_t>(vocab)) {}
  void sample(std::uint64_t index, std::span<std::int32_t> tokens) override {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const auto draw = exact::random_u32(1, exact::Purpose::synthetic, 0, index * 4096 + i);
      tokens[i] = static_cast<std::int32_t>(draw % vocab_);
    }
  }

 private:
  std::uint64_t vocab_;
};

double quartile(std::vector<double> values, int which) {
  std::sort(values.begin(), values.end());
  return values[values.size() * static_cast<std::size_t>(which) / 4];
}

std::string with_quartiles(const std::vector<double>& values) {
  char text[96];
  std::snprintf(text, sizeof text, "%.3f (%.3f to %.3f)", median(values), quartile(values, 1),
                quartile(values, 3));
  return text;
}

/// Seconds that processors worked for other processes than this one, since the machine started.
double busy_elsewhere() {
  std::ifstream stat("/proc/stat");
  std::string name;
  double user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, steal = 0;
  stat >> name >> user >> nice >> system >> idle >> wait >> irq >> soft >> steal;
  rusage own{};
  ::getrusage(RUSAGE_SELF, &own);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return (user + nice + system + irq + soft + steal) / static_cast<double>(::sysconf(_SC_CLK_TCK)) -
         seconds(own.ru_utime) - seconds(own.ru_stime);
}

/// What a block of steps took, and where.
struct Block {
  double seconds = 0.0;
  double elsewhere = 0.0;                 ///< processors' seconds for other processes
  double pause = 0.0;                     ///< in begin(), poll() and finish()
  double write = 0.0;                     ///< of the generation
  std::vector<double> beside{}, alone{};  ///< steps with a generation in flight, and without
};

/// Steps in pairs of blocks, one with a save and one without, in turn: what a save costs. A block
/// with a save takes its snapshot first and polls at every step; it lasts at least ten times what
/// the write took, or the pair does not count and the blocks get longer. Nor does a pair count in
/// which one rank alone saw others work for more than `calm` of the time.
class TrainBeside {
 public:
  TrainBeside(comm::Communicator& comm, const Keys& keys)
      : comm_(comm),
        settings_(settings_of(keys)),
        mesh_(comm, {.dp = comm.size()}),
        data_(settings_.model.vocab),
        trainer_(settings_, session_.exec(), mesh_, data_, system_clock()),
        state_(trainer_.make_state()),
        saver_(comm, posix_files(), system_clock(), keys.at("folder")),
        pairs_(std::atoi(keys.at("pairs").c_str())),
        count_(std::atoi(keys.at("steps").c_str())),
        most_pairs_(std::atoi(keys.at("most_pairs").c_str())),
        calm_(std::atof(keys.at("calm").c_str())) {
    saver_.reserve(named(state_, mesh_.shape(), mesh_.coords()));
  }

  int run() {
    trainer_.step();  // allocates
    block(3, true);   // the first save touches the snapshot's pages
    const Block trial = block(6, true);
    if (count_ == 0) count_ = longer_than(10.0 * trial.write, median(block(3, false).alone));
    for (int number = 0; static_cast<int>(costs_.size()) < pairs_ && number < most_pairs_;
         ++number) {
      const bool first =
          number % 2 == 0;  // in turn, so that a drift of the machine's speed cancels
      const Block a = block(count_, first);
      const Block b = block(count_, !first);
      add(first ? a : b, first ? b : a);
    }
    report();
    return 0;
  }

 private:
  static int longer_than(double seconds, double step) {
    return static_cast<int>(1.15 * seconds / step) + 1;
  }

  Block block(int count, bool saves) {
    Block block;
    const double start = now();
    const double elsewhere = busy_elsewhere();
    auto paused = [&](auto&& work) {
      const double before = now();
      if (const std::optional<checkpoint::Saved> saved = work()) block.write = saved->write_seconds;
      block.pause += now() - before;
    };
    if (saves) {
      paused([&] {
        const auto tensors = named(trainer_.state_to_copy(state_), mesh_.shape(), mesh_.coords());
        return saver_.begin({.step = static_cast<std::uint64_t>(trainer_.next_step())}, tensors,
                            {});
      });
    }
    for (int i = 0; i < count; ++i) {
      const bool beside = saver_.in_flight();
      const double before = now();
      trainer_.step();
      (beside ? block.beside : block.alone).push_back(now() - before);
      paused([&] { return saver_.poll(); });
    }
    paused([&] { return saver_.finish(); });
    block.seconds = now() - start;
    block.elsewhere = busy_elsewhere() - elsewhere;
    return block;
  }

  void add(const Block& with, const Block& without) {
    const double step = median(without.alone);
    const bool long_enough = without.seconds >= 10.0 * with.write;
    const double others =
        std::max(with.elsewhere / with.seconds, without.elsewhere / without.seconds);
    const bool counts = long_enough && (comm_.size() > 1 || others <= calm_);
    // Steps in flight against the others of both blocks: what the writing itself costs training.
    double slowed = 0.0;
    for (const double seconds : with.beside) slowed += seconds - step;
    if (comm_.rank() == 0) {
      std::printf(
          "pair steps=%d with_s=%.2f without_s=%.2f cost_percent=%.2f step_s=%.3f pause_s=%.3f "
          "write_s=%.3f slowed_s=%.3f steps_beside=%zu others=%.3f counts=%d\n",
          count_, with.seconds, without.seconds, 100.0 * (with.seconds / without.seconds - 1.0),
          step, with.pause, with.write, slowed, with.beside.size(), others, counts ? 1 : 0);
      std::fflush(stdout);
    }
    if (!long_enough) count_ = longer_than(10.0 * with.write, step);
    if (!counts) return;
    costs_.push_back(100.0 * (with.seconds / without.seconds - 1.0));
    steps_.push_back(step);
    pauses_.push_back(with.pause);
    writes_.push_back(with.write);
    parts_.push_back(100.0 * (with.pause + slowed) / without.seconds);
  }

  void report() const {
    if (comm_.rank() != 0 || costs_.empty()) return;
    std::printf("train pairs=%zu steps_between=%d interval_over_write=%.1f\n", costs_.size(),
                count_, count_ * median(steps_) / median(writes_));
    std::printf("step_s %s\npause_s %s\nwrite_s %s\n", with_quartiles(steps_).c_str(),
                with_quartiles(pauses_).c_str(), with_quartiles(writes_).c_str());
    std::printf("cost_percent %s\npause_and_slower_steps_percent %s\n",
                with_quartiles(costs_).c_str(), with_quartiles(parts_).c_str());
  }

  comm::Communicator& comm_;
  train::TrainSettings settings_;
  device::Session session_{"cpu"};
  parallel::ProcessMesh mesh_;
  MadeUp data_;
  train::Trainer trainer_;
  train::HostState state_;
  checkpoint::Saver saver_;
  int pairs_;
  int count_;       ///< steps of a block
  int most_pairs_;  ///< that count or do not
  double calm_;
  std::vector<double> costs_, steps_, pauses_, writes_, parts_;
};

Keys read(int argc, char** argv) {
  Keys keys{{"what", "save"},  {"folder", ""},       {"layers", "12"},      {"repeats", "1"},
            {"length", "512"}, {"batch", "4"},       {"precision", "bf16"}, {"pairs", "7"},
            {"steps", "0"},    {"most_pairs", "30"}, {"calm", "0.05"}};
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const auto at = arg.find('=');
    const auto found = keys.find(arg.substr(0, at));
    if (at == std::string::npos || found == keys.end()) {
      std::fprintf(stderr, "'%s' is no key=value that this program knows; its source lists them\n",
                   arg.c_str());
      std::exit(64);
    }
    found->second = arg.substr(at + 1);
  }
  if (keys.at("folder").empty()) {
    std::fprintf(stderr, "checkpoint_bench: folder=FOLDER is missing\n");
    std::exit(64);
  }
  return keys;
}

}  // namespace

int main(int argc, char** argv) {
  const Keys keys = read(argc, argv);
  auto runtime = comm::Runtime::start(argc, argv);
  return runtime.run(
      [&](comm::Communicator& comm) {
        return keys.at("what") == "train" ? TrainBeside(comm, keys).run()
                                          : save_or_restore(comm, keys);
      },
      [](const std::exception& error) {
        std::fprintf(stderr, "checkpoint_bench: %s\n", error.what());
      });
}
