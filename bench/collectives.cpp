// Time of the collectives that tensor parallel layers and gradient sums use, on real ranks.
//
//   mpirun -n 2 --bind-to none ./collectives [repeats=15]
//
// For each size: medians with quartiles from a barrier to the end of the slowest rank, of an
// all-reduce, an all-gather and a reduce-scatter (bytes: of the whole vector, fp32), and the rate
// of the all-reduce over the vector's bytes. Beside them a copy of as many bytes in one process.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "concordat/comm/runtime.hpp"

using namespace concordat;

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Quartiles {
  double low, middle, high;
};

template <typename Work>
Quartiles timed(comm::Communicator& comm, int repeats, Work&& work) {
  std::vector<double> seconds;
  for (int i = -3; i < repeats; ++i) {
    comm.barrier();
    const double begin = now();
    work();
    double mine[1] = {now() - begin};
    comm::all_reduce_host<double>(comm, mine, comm::ReduceOp::max);
    if (i >= 0) seconds.push_back(mine[0]);
  }
  std::sort(seconds.begin(), seconds.end());
  const auto at = [&](double share) {
    return seconds[static_cast<std::size_t>(share * static_cast<double>(seconds.size() - 1) + 0.5)];
  };
  return {at(0.25), at(0.5), at(0.75)};
}

std::string text(const Quartiles& q) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%8.0f (%6.0f to %6.0f)", q.middle * 1e6, q.low * 1e6,
                q.high * 1e6);
  return buffer;
}

int run(comm::Communicator& comm, int repeats) {
  InlineStream stream;
  if (comm.rank() == 0) {
    std::printf("%d ranks, microseconds\n%10s %27s %27s %27s %27s %8s\n", comm.size(), "KiB",
                "all-reduce", "all-gather", "reduce-scatter", "copy", "GB/s");
  }
  for (std::int64_t kib = 16; kib <= 32 * 1024; kib *= 4) {
    const std::int64_t part = kib * 256 / comm.size();
    const Tensor whole = host_tensor(Dtype::f32, {part * comm.size()});
    const Tensor mine = host_tensor(Dtype::f32, {part});
    const Tensor other = host_tensor(Dtype::f32, {part * comm.size()});
    for (const Tensor& each : {whole, mine, other}) {
      std::fill_n(each.span<float>().begin(), each.size(), 0.0F);
    }
    const auto reduce =
        timed(comm, repeats, [&] { comm.all_reduce(whole, comm::ReduceOp::sum, stream); });
    const auto gather = timed(comm, repeats, [&] { comm.all_gather(whole, mine, stream); });
    const auto scatter = timed(
        comm, repeats, [&] { comm.reduce_scatter(mine, whole, comm::ReduceOp::sum, stream); });
    const auto copy = timed(comm, repeats, [&] {
      std::memcpy(other.raw_bytes(), whole.raw_bytes(), static_cast<std::size_t>(whole.size()) * 4);
    });
    if (comm.rank() != 0) continue;
    std::printf("%10lld %s %s %s %s %8.2f\n", static_cast<long long>(kib), text(reduce).c_str(),
                text(gather).c_str(), text(scatter).c_str(), text(copy).c_str(),
                static_cast<double>(whole.size()) * 4e-9 / reduce.middle);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  auto runtime = comm::Runtime::start(argc, argv);
  const int repeats = argc > 1 ? std::max(1, std::atoi(argv[1])) : 15;
  return runtime.run(
      [&](comm::Communicator& comm) { return run(comm, repeats); },
      [](const std::exception& error) { std::fprintf(stderr, "collectives: %s\n", error.what()); });
}
