// Time and bandwidth of the collectives that tensor parallel layers and gradient sums use.
//
//   mpirun -n 2 --bind-to none ./collectives              // processes; beside MPI's own
//   collectives
//   ./collectives over=threads ranks=2
//   mpirun -n 8 ./collectives over=cuda most=1048576      // a GPU a rank, through NCCL
//   ... further: least=16 most=32768 (KiB of the whole vector, fp32, in steps of four) repeats=15
//
// A Markdown table. Times are from a barrier to the end of the slowest rank, medians with
// quartiles; MPI's own collectives take turns with ours, and the ratio is that of neighbours (below
// 1: ours is faster). Bandwidths are those of nccl-tests (NVIDIA/nccl-tests, doc/PERFORMANCE.md):
// algbw is the whole vector's bytes over the time, busbw that times 2 (n-1)/n of an all-reduce and
// (n-1)/n of the other two, which is what each rank's link moves at least, whatever n. Beside them
// a copy.
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "concordat/comm/runtime.hpp"
#include "concordat/device/ops/elementwise.hpp"

using namespace concordat;

namespace {

using Keys = std::map<std::string, std::string>;
using Work = std::function<void()>;

/// Where the vectors are, and who moves them.
struct Side {
  comm::Communicator& ranks;
  Stream& stream;
  std::function<Tensor(std::int64_t)> zeros;
  bool beside_mpi = false;
};

struct Collective {
  const char* name;
  double bus_share;  ///< busbw over algbw
  Work ours;
  Work mpi;  ///< none: empty
};

double seconds_of(comm::Communicator& host, const Work& work) {
  host.barrier();
  const auto begin = std::chrono::steady_clock::now();
  work();
  double mine[1] = {
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count()};
  comm::all_reduce_host<double>(host, mine, comm::ReduceOp::max);
  return mine[0];
}

struct Quartiles {
  double low, middle, high;
};

Quartiles quartiles(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
  };
  return {at(0.25), at(0.5), at(0.75)};
}

std::string text(const char* format, const Quartiles& q, double unit = 1.0) {
  char buffer[96];
  std::snprintf(buffer, sizeof buffer, format, q.middle / unit, q.low / unit, q.high / unit);
  return buffer;
}

/// One line of the table, with MPI's columns if the table has them.
void compare(comm::Communicator& host, const Collective& each, std::int64_t bytes, int repeats,
             bool beside_mpi) {
  std::vector<double> ours, mpi, ratio;
  for (int i = -3; i < repeats; ++i) {
    double seconds[2] = {};
    for (const int turn : {i & 1, 1 - (i & 1)}) {
      const Work& work = turn == 0 ? each.ours : each.mpi;
      if (work) seconds[turn] = seconds_of(host, work);
    }
    if (i < 0) continue;
    ours.push_back(seconds[0]);
    mpi.push_back(seconds[1]);
    if (each.mpi) ratio.push_back(seconds[0] / seconds[1]);
  }
  if (host.rank() != 0) return;
  const Quartiles time = quartiles(ours);
  const double rate = static_cast<double>(bytes) * 1e-9 / time.middle;
  std::printf("| %lld | %s | %s | %.2f | %.2f |", static_cast<long long>(bytes / 1024), each.name,
              text("%.0f (%.0f to %.0f)", time, 1e-6).c_str(), rate, rate * each.bus_share);
  if (each.mpi) {
    std::printf(" %s | %s |", text("%.0f (%.0f to %.0f)", quartiles(mpi), 1e-6).c_str(),
                text("%.2f (%.2f to %.2f)", quartiles(ratio)).c_str());
  } else if (beside_mpi) {
    std::printf(" - | - |");
  }
  std::printf("\n");
}

std::vector<Collective> collectives(const Side& side, std::int64_t elements) {
  comm::Communicator& ranks = side.ranks;
  Stream& stream = side.stream;
  const double n = ranks.size();
  const std::int64_t share = elements / ranks.size();
  const Tensor whole = side.zeros(share * ranks.size());
  const Tensor part = side.zeros(share);
  std::vector<Collective> all{
      {"all-reduce",
       2.0 * (n - 1.0) / n,
       [&, whole] { ranks.all_reduce(whole, comm::ReduceOp::sum, stream).wait(); },
       {}},
      {"all-gather",
       (n - 1.0) / n,
       [&, whole, part] { ranks.all_gather(whole, part, stream).wait(); },
       {}},
      {"reduce-scatter",
       (n - 1.0) / n,
       [&, whole, part] { ranks.reduce_scatter(part, whole, comm::ReduceOp::sum, stream).wait(); },
       {}}};
  if (side.beside_mpi) {
    float* of_whole = whole.raw<float>();
    float* of_part = part.raw<float>();
    const int count = static_cast<int>(share);
    all[0].mpi = [=] {
      MPI_Allreduce(MPI_IN_PLACE, of_whole, static_cast<int>(whole.size()), MPI_FLOAT, MPI_SUM,
                    MPI_COMM_WORLD);
    };
    all[1].mpi = [=] {
      MPI_Allgather(of_part, count, MPI_FLOAT, of_whole, count, MPI_FLOAT, MPI_COMM_WORLD);
    };
    all[2].mpi = [=] {
      MPI_Reduce_scatter_block(of_whole, of_part, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    };
  }
  if (whole.place() == Place::host) {
    const Tensor other = side.zeros(whole.size());
    all.push_back({"copy",
                   1.0,
                   [=] { std::memcpy(other.raw_bytes(), whole.raw_bytes(), whole.size_bytes()); },
                   {}});
  }
  return all;
}

int measure(comm::Communicator& host, const Side& side, const Keys& keys) {
  const std::int64_t most = std::stoll(keys.at("most"));
  const int repeats = std::max(1, std::stoi(keys.at("repeats")));
  if (host.rank() == 0) {
    std::printf(
        "%d ranks, over=%s\n\n| KiB | collective | us | algbw, GB/s | busbw, GB/s |%s\n"
        "|---|---|---|---|---|%s\n",
        host.size(), keys.at("over").c_str(),
        side.beside_mpi ? " MPI's own, us | ours over MPI's |" : "",
        side.beside_mpi ? "---|---|" : "");
  }
  for (std::int64_t kib = std::stoll(keys.at("least")); kib <= most; kib *= 4) {
    const std::int64_t elements = kib * 256;
    for (const Collective& each : collectives(side, elements)) {
      compare(host, each, elements / host.size() * host.size() * 4, repeats, side.beside_mpi);
    }
  }
  return 0;
}

Tensor host_zeros(std::int64_t count) {
  const Tensor made = host_tensor(Dtype::f32, {count});
  std::ranges::fill(made.span<float>(), 0.0F);
  return made;
}

int on_host(comm::Communicator& comm, const Keys& keys) {
  InlineStream stream;
  return measure(comm, {comm, stream, &host_zeros, keys.at("over") == "mpi"}, keys);
}

int on_devices(comm::Communicator& comm, const Keys& keys) {
  device::Session session("cuda", {.local_rank = comm::local_rank(comm)});
  const auto ranks = session.backend().communicator(comm);
  const auto zeros = [&](std::int64_t count) {
    Tensor made = session.backend().allocate(Dtype::f32, {count});
    device::fill(session.exec(), made, 0.0);
    return made;
  };
  if (comm.rank() == 0) std::printf("%s\n", session.backend().instructions_in_use().c_str());
  return measure(comm, {*ranks, session.exec().stream, zeros}, keys);
}

}  // namespace

int main(int argc, char** argv) {
  Keys keys{{"over", "mpi"}, {"ranks", "2"}, {"least", "16"}, {"most", "32768"}, {"repeats", "15"}};
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const auto at = arg.find('=');
    if (at == std::string::npos || !keys.contains(arg.substr(0, at))) {
      std::fprintf(stderr, "collectives: '%s' is none of over= ranks= least= most= repeats=\n",
                   argv[i]);
      return 64;
    }
    keys[arg.substr(0, at)] = arg.substr(at + 1);
  }
  if (keys.at("over") == "threads") {
    comm::run_threads(std::stoi(keys.at("ranks")),
                      [&](comm::Communicator& comm) { on_host(comm, keys); });
    return 0;
  }
  auto runtime = comm::Runtime::start(argc, argv);
  return runtime.run(
      [&](comm::Communicator& comm) {
        return keys.at("over") == "cuda" ? on_devices(comm, keys) : on_host(comm, keys);
      },
      [](const std::exception& error) { std::fprintf(stderr, "collectives: %s\n", error.what()); });
}
