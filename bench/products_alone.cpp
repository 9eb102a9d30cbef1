// The rate of oneDNN's matrix products alone at the shapes of a training step: what a forward and
// backward can be held against.
//
//   OMP_NUM_THREADS=2 ./products_alone precision=bf16 rows=2048 width=768 ffn=2048 layers=12
//     vocab=50257 gated=1
//
// gated=0: an MLP of two matrices (gpt2) instead of three. Every product of the step once per call:
// y = x W^T, grad_x = grad_y W and grad_W += grad_y^T x, f32 out. W lies in the layout that oneDNN
// asks for, packed beforehand, which a trainer has to pay for. Of `rounds` (5) the fastest of each
// product counts. Left out: attention. The last line is for scripts: key=value.
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dnnl.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace {

using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Product {
  const char* what;
  std::int64_t m, n, k;
  bool a_transposed, b_transposed, is_weight, adds;
  std::int64_t times;
};

class Machine {
 public:
  Machine(Type operands, int rounds) : operands_(operands), rounds_(rounds) {}

  /// Seconds of one product, the fastest of the rounds.
  double seconds(const Product& p) {
    using dims = dnnl::memory::dims;
    const dnnl::memory::desc a({p.m, p.k}, operands_, p.a_transposed ? dims{1, p.m} : dims{p.k, 1});
    const dnnl::memory::desc b({p.k, p.n}, operands_, p.b_transposed ? dims{1, p.k} : dims{p.n, 1});
    const dnnl::memory::desc any({p.k, p.n}, operands_, Tag::any);
    const dnnl::memory::desc c({p.m, p.n}, Type::f32, dims{p.n, 1});
    dnnl::primitive_attr attributes;
    if (p.adds) {
      dnnl::post_ops sum;
      sum.append_sum(1.0F);
      attributes.set_post_ops(sum);
    }
    const dnnl::matmul::primitive_desc described(dnnl::matmul::desc(a, p.is_weight ? any : b, c),
                                                 attributes, engine_);
    const dnnl::matmul product(described);
    dnnl::memory left = filled(a);
    dnnl::memory right = filled(b);
    if (described.weights_desc() != b) {
      dnnl::memory packed(described.weights_desc(), engine_);
      dnnl::reorder(right, packed).execute(stream_, right, packed);
      right = packed;
    }
    dnnl::memory out = filled(c);
    double best = 1e30;
    for (int i = 0; i <= rounds_; ++i) {  // the first one warms up
      const double begin = now();
      product.execute(stream_,
                      {{DNNL_ARG_SRC, left}, {DNNL_ARG_WEIGHTS, right}, {DNNL_ARG_DST, out}});
      stream_.wait();
      if (i > 0) best = std::min(best, now() - begin);
    }
    return best;
  }

 private:
  dnnl::memory filled(const dnnl::memory::desc& desc) {
    dnnl::memory memory(desc, engine_);
    std::memset(memory.get_data_handle(), 0, desc.get_size());
    return memory;
  }
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  Type operands_;
  int rounds_;
};

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> keys{
      {"precision", "bf16"}, {"rows", "2048"},   {"width", "768"}, {"ffn", "2048"},
      {"layers", "12"},      {"vocab", "50257"}, {"gated", "1"},   {"rounds", "5"}};
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const auto at = arg.find('=');
    if (at == std::string::npos || !keys.contains(arg.substr(0, at))) {
      std::fprintf(stderr, "'%s' is no key=value that this program knows; its source lists them\n",
                   argv[i]);
      return 64;
    }
    keys[arg.substr(0, at)] = arg.substr(at + 1);
  }
  const auto whole = [&](const char* key) { return std::atoll(keys.at(key).c_str()); };
  const std::int64_t rows = whole("rows");
  const std::int64_t width = whole("width");
  const std::int64_t ffn = whole("ffn");
  const std::int64_t layers = whole("layers");
  struct Layer {
    const char* name;
    std::int64_t in, out, times;
  };
  const std::vector<Layer> matrices{
      {"q, k, v", width, 3 * width, layers},
      {"attention's output", width, width, layers},
      {"up", width, whole("gated") != 0 ? 2 * ffn : ffn, layers},
      {"down", ffn, width, layers},
      {"head", width, whole("vocab"), 1},
  };
  Machine machine(keys.at("precision") == "bf16" ? Type::bf16 : Type::f32,
                  static_cast<int>(whole("rounds")));
  double seconds = 0.0;
  double flops = 0.0;
  for (const Layer& each : matrices) {
    const Product products[] = {
        {"y", rows, each.out, each.in, false, true, true, false, each.times},
        {"grad_x", rows, each.in, each.out, false, false, true, false, each.times},
        {"grad_W", each.out, each.in, rows, true, false, false, true, each.times}};
    for (const Product& p : products) {
      const double one = machine.seconds(p);
      const double work =
          2.0 * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
      std::printf("%-20s %-7s %6lld x %6lld x %6lld  %8.2f ms  %8.1f GFLOP/s\n", each.name, p.what,
                  static_cast<long long>(p.m), static_cast<long long>(p.n),
                  static_cast<long long>(p.k), one * 1e3, work / one * 1e-9);
      seconds += one * static_cast<double>(p.times);
      flops += work * static_cast<double>(p.times);
    }
  }
  std::printf("seconds=%.4f gflops=%.1f\n", seconds, flops / seconds * 1e-9);
}
