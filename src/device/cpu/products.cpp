#include "device/cpu/products.hpp"

#include <omp.h>

#include <algorithm>
#include <array>
#include <dnnl.hpp>
#include <map>
#include <mutex>
#include <unordered_map>

#include "concordat/device/errors.hpp"
#include "device/cpu/amx_product.hpp"

namespace concordat::device {
namespace {

[[noreturn]] void fail(const std::string& where, const std::string& found) {
  throw Error(errors::library_failed, {.what = "oneDNN refused a matrix product",
                                       .where = where,
                                       .found = found,
                                       .expected = "success",
                                       .remedy = "report this line with the output of --version"});
}

// All that distinguishes one primitive from another.
struct Key {
  std::int64_t m, n, k, a_row, a_col, b_row, b_col, c_row;
  float alpha, beta;
  Dtype operands;
  int threads;
  bool packed;
  auto operator<=>(const Key&) const = default;
};

struct Plan {
  dnnl::matmul primitive;
  dnnl::memory::desc a, b_plain, b_wanted, c, scratch;
  bool repack = false;
};

struct PackedWeight {
  dnnl::memory::desc plain, wanted;
  std::weak_ptr<Storage> storage;
  std::uint64_t version = 0;
  dnnl::memory memory;
};

Key key_of(const Tensor& c, const Tensor& a, const Tensor& b, const MatmulOptions& options,
           bool packed) {
  bool ta = options.transpose_a;
  bool tb = options.transpose_b;
  // A dimension of extent 1 may carry any stride; oneDNN wants a sensible one.
  std::int64_t lda = std::max(a.strides()[0], a.shape()[1]);
  std::int64_t ldb = std::max(b.strides()[0], b.shape()[1]);
  return {.m = c.shape()[0],
          .n = c.shape()[1],
          .k = a.shape()[ta ? 0 : 1],
          .a_row = ta ? 1 : lda,
          .a_col = ta ? lda : 1,
          .b_row = tb ? 1 : ldb,
          .b_col = tb ? ldb : 1,
          .c_row = std::max(c.strides()[0], c.shape()[1]),
          .alpha = options.alpha,
          .beta = options.beta,
          .operands = a.dtype(),
          .threads = omp_get_max_threads(),
          .packed = packed};
}

AmxProduct amx_product_of(const Tensor& c, const Tensor& a, const Tensor& b,
                          const MatmulOptions& options) {
  const auto bits = [](const Tensor& t) {
    return reinterpret_cast<const std::uint16_t*>(t.raw_bytes());
  };
  AmxProduct product{.m = c.dim(0),
                     .n = c.dim(1),
                     .k = a.dim(options.transpose_a ? 0 : 1),
                     .a = bits(a),
                     .a_stride = a.strides()[0],
                     .a_transposed = options.transpose_a,
                     .b = bits(b),
                     .b_stride = b.strides()[0],
                     .b_transposed = options.transpose_b,
                     .c = c.dtype() == Dtype::f32 ? c.raw<float>() : nullptr,
                     .rounded = c.dtype() == Dtype::bf16
                                    ? reinterpret_cast<std::uint16_t*>(c.raw_bytes())
                                    : nullptr,
                     .c_stride = c.strides()[0],
                     .alpha = options.alpha,
                     .beta = options.beta};
  if (!options.bias.empty()) product.bias = options.bias.raw<float>();
  if (!options.residual.empty()) {
    product.residual = options.residual.raw<float>();
    product.residual_stride = options.residual.strides()[0];
  }
  return product;
}

// oneDNN's word counts, so that ONEDNN_MAX_CPU_ISA shows what older processors do.
bool onednn_uses(dnnl::cpu_isa isa) {
  const auto wanted = static_cast<unsigned>(isa);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & wanted) == wanted;
}

}  // namespace

struct Products::State {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  bool pack_weights = false;
  std::mutex mutex;
  std::map<Key, std::unique_ptr<Plan>> plans;
  /// Of a weight: a copy for each layout that its plans want. Plans that differ in rows alone, such
  /// as those of a last, shorter micro-batch, read the same one.
  std::map<const std::byte*, std::vector<PackedWeight>> weights;

  const Plan& plan(const Key& key);
  dnnl::memory weight(const Plan& plan, const Tensor& b, std::uint64_t version);
};

const Plan& Products::State::plan(const Key& key) {
  std::lock_guard lock(mutex);
  std::unique_ptr<Plan>& found = plans[key];
  if (found) return *found;
  constexpr auto f32 = dnnl::memory::data_type::f32;
  auto made = std::make_unique<Plan>();
  const auto read = key.operands == Dtype::bf16 ? dnnl::memory::data_type::bf16 : f32;
  made->a = dnnl::memory::desc({key.m, key.k}, read, dnnl::memory::dims{key.a_row, key.a_col});
  made->b_plain =
      dnnl::memory::desc({key.k, key.n}, read, dnnl::memory::dims{key.b_row, key.b_col});
  made->c = dnnl::memory::desc({key.m, key.n}, f32, dnnl::memory::dims{key.c_row, 1});
  dnnl::memory::desc any({key.k, key.n}, read, dnnl::memory::format_tag::any);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (key.alpha != 1.0F) attributes.set_output_scales(0, {key.alpha});
  if (key.beta != 0.0F) {
    dnnl::post_ops sum;
    sum.append_sum(key.beta);
    attributes.set_post_ops(sum);
  }
  dnnl::matmul::primitive_desc described(
      dnnl::matmul::desc(made->a, key.packed ? any : made->b_plain, made->c), attributes, engine);
  made->primitive = dnnl::matmul(described);
  made->b_wanted = described.weights_desc();
  made->scratch = described.scratchpad_desc();
  made->repack = made->b_wanted != made->b_plain;
  found = std::move(made);
  return *found;
}

dnnl::memory Products::State::weight(const Plan& plan, const Tensor& b, std::uint64_t version) {
  if (!plan.repack) return {plan.b_plain, engine, b.raw_bytes()};
  std::lock_guard lock(mutex);
  for (auto at = weights.begin(); at != weights.end();) {
    std::erase_if(at->second, [](const PackedWeight& copy) { return copy.storage.expired(); });
    at = at->second.empty() ? weights.erase(at) : std::next(at);
  }
  auto& copies = weights[b.raw_bytes()];
  auto found = std::find_if(copies.begin(), copies.end(), [&](const PackedWeight& copy) {
    return copy.plain == plan.b_plain && copy.wanted == plan.b_wanted;
  });
  if (found == copies.end()) {
    PackedWeight fresh;
    fresh.plain = plan.b_plain;
    fresh.wanted = plan.b_wanted;
    found = copies.insert(found, std::move(fresh));
  }
  PackedWeight& packed = *found;
  if (packed.storage.lock() != b.storage() || packed.version != version) {
    if (!packed.memory) packed.memory = dnnl::memory(plan.b_wanted, engine);
    dnnl::memory plain(plan.b_plain, engine, b.raw_bytes());
    dnnl::reorder(plain, packed.memory).execute(stream, plain, packed.memory);
    packed.storage = b.storage();
    packed.version = version;
  }
  return packed.memory;
}

Products::Products(bool pack_weights) : state_(std::make_unique<State>()) {
  state_->pack_weights = pack_weights;
}
Products::~Products() = default;

// oneDNN's wide kernels (brgemm) read weights in blocks of their own.
bool Products::packing_pays() {
  const auto bits = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto core = static_cast<unsigned>(dnnl::cpu_isa::avx512_core);
  return (bits & core) == core;
}

// Instructions for it, not an emulation: that would be slower than f32.
bool Products::multiplies_bf16() {
  const auto bits = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto wanted = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  return (bits & wanted) == wanted;
}

int Products::weight_copies(Dtype dtype) const {
  if (!state_->pack_weights) return 0;
  if (dtype == Dtype::bf16 && uses_tiles()) return 0;
  // Read as it is forward, transposed backward. Other dtypes are widened into scratch first.
  return dtype == Dtype::f32 || (dtype == Dtype::bf16 && multiplies_bf16()) ? 2 : 0;
}

std::size_t Products::weight_copy_bytes() const {
  std::lock_guard lock(state_->mutex);
  std::size_t bytes = 0;
  for (const auto& [weight, copies] : state_->weights) {
    for (const PackedWeight& copy : copies) bytes += copy.wanted.get_size();
  }
  return bytes;
}

bool Products::uses_tiles() {
  static const bool yes = onednn_uses(dnnl::cpu_isa::avx512_core_amx) && amx_usable();
  return yes;
}

bool Products::uses_avx512() {
  static const bool yes = onednn_uses(dnnl::cpu_isa::avx512_core);
  return yes;
}

std::size_t Products::scratch_bytes(const Tensor& c, const Tensor& a, const Tensor& b,
                                    const MatmulOptions& options, bool is_weight) {
  if (c.size() == 0 || a.size() == 0) return 0;
  if (a.dtype() == Dtype::bf16 && uses_tiles()) {
    return amx_scratch_bytes(amx_product_of(c, a, b, options));
  }
  try {
    return state_->plan(key_of(c, a, b, options, is_weight && state_->pack_weights))
        .scratch.get_size();
  } catch (const dnnl::error& error) {
    fail(to_string(c.shape()) + " of depth " + std::to_string(a.size() / c.dim(0)), error.what());
  }
}

void Products::run(const Tensor& c, const Tensor& a, const Tensor& b, const MatmulOptions& options,
                   std::uint64_t weight_version, const Tensor& scratch) {
  if (a.dtype() == Dtype::bf16 && uses_tiles()) {
    amx_product(amx_product_of(c, a, b, options), scratch.raw_bytes());
    return;
  }
  try {
    const Plan& plan =
        state_->plan(key_of(c, a, b, options, weight_version != 0 && state_->pack_weights));
    std::unordered_map<int, dnnl::memory> arguments{
        {DNNL_ARG_SRC, {plan.a, state_->engine, a.raw_bytes()}},
        {DNNL_ARG_WEIGHTS, state_->weight(plan, b, weight_version)},
        {DNNL_ARG_DST, {plan.c, state_->engine, c.raw_bytes()}}};
    if (!scratch.empty()) {
      arguments.emplace(DNNL_ARG_SCRATCHPAD,
                        dnnl::memory(plan.scratch, state_->engine, scratch.raw_bytes()));
    }
    plan.primitive.execute(state_->stream, arguments);
  } catch (const dnnl::error& error) {
    fail(to_string(c.shape()), error.what());
  }
}

void tile_product(const TileShape& s, const float* a, std::int64_t lda, const float* b,
                  std::int64_t ldb, float* c, std::int64_t ldc) {
  dnnl_status_t status = dnnl_sgemm(s.a_transposed ? 'T' : 'N', s.b_transposed ? 'T' : 'N', s.m,
                                    s.n, s.k, s.alpha, a, lda, b, ldb, s.beta, c, ldc);
  if (status != dnnl_success) fail("sgemm", "status " + std::to_string(static_cast<int>(status)));
}

std::string product_library() {
  const dnnl_version_t* version = dnnl_version();
  std::string isa = "baseline";
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::avx2:
      isa = "avx2";
      break;
    case dnnl::cpu_isa::avx512_core:
      isa = "avx512_core";
      break;
    case dnnl::cpu_isa::avx512_core_vnni:
      isa = "avx512_core_vnni";
      break;
    case dnnl::cpu_isa::avx512_core_bf16:
      isa = "avx512_core_bf16";
      break;
    case dnnl::cpu_isa::avx512_core_amx:
      isa = "avx512_core_amx";
      break;
    default:
      break;
  }
  return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
         std::to_string(version->patch) + " (" + isa + ")";
}

}  // namespace concordat::device
