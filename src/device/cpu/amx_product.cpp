#include "device/cpu/amx_product.hpp"

#include <cpuid.h>
#include <omp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "device/cpu/amx_tiles.hpp"

namespace concordat::device {
namespace {

// The right operand is packed by panels of at most this depth and size, which stay in the last
// level's cache; a thread's rows of the left one by blocks that stay in its own second level.
constexpr std::int64_t panel_depth = 2048;
constexpr std::int64_t panel_bytes = std::int64_t{8} << 20;
constexpr std::int64_t left_bytes = std::int64_t{512} << 10;
constexpr std::int64_t units_per_thread = 6;

std::int64_t round_up(std::int64_t value, std::int64_t unit) {
  return (value + unit - 1) / unit * unit;
}

struct Plan {
  std::int64_t depth;       // of a panel, a multiple of a tile's
  std::int64_t columns;     // of a panel, a multiple of a block's
  std::int64_t rows;        // that a thread packs at a time
  std::int64_t panel_size;  // bf16 numbers
  std::int64_t left_size;   // per thread
};

Plan plan_of(const AmxProduct& p) {
  Plan plan{};
  // A result that is rounded is summed at one go.
  const std::int64_t parts = p.rounded != nullptr ? 1 : (p.k + panel_depth - 1) / panel_depth;
  plan.depth = round_up((p.k + parts - 1) / parts, amx::tile_depth);
  const std::int64_t most =
      std::max(amx::block, panel_bytes / 2 / plan.depth / amx::block * amx::block);
  plan.columns = std::min(most, round_up(p.n, amx::block));
  plan.rows = std::max(amx::block, left_bytes / 2 / plan.depth / amx::block * amx::block);
  plan.rows = std::min(plan.rows, round_up(p.m, amx::block));
  plan.panel_size = plan.depth * plan.columns;
  plan.left_size = plan.depth * plan.rows;
  return plan;
}

// A range of the product: one panel.
struct Panel {
  std::int64_t k, depth, n, columns;
};

#pragma GCC push_options
#pragma GCC target( \
    "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16,prfchw,prefer-vector-width=512")

// Fetches what the tiles after this one read: the rows below where a tile takes pairs of rows, the
// next columns where it takes lines. Neither is a stream that the processor follows well.
void fetch_next(const std::uint16_t* from, std::int64_t stride, bool lines) {
  if (lines) {
    for (std::int64_t i = 0; i < amx::tile_rows; ++i) {
      __builtin_prefetch(from + i * stride + 4 * amx::tile_depth);
    }
  } else {
    for (std::int64_t i = 0; i < amx::tile_depth; ++i) {
      __builtin_prefetch(from + (2 * amx::tile_depth + i) * stride);
    }
  }
}

// Strips of 32 columns; in a strip, step by step of k, two tiles.
void pack_panel(std::uint16_t* to, const AmxProduct& p, const Panel& panel, std::int64_t strip) {
  const std::int64_t first = strip * amx::block;
  for (std::int64_t k = 0; k < panel.depth; k += amx::tile_depth) {
    for (std::int64_t half = 0; half < amx::block; half += amx::tile_rows) {
      const std::int64_t n = panel.n + first + half;
      const std::int64_t at = panel.k + k;
      const std::uint16_t* from =
          p.b_transposed ? p.b + n * p.b_stride + at : p.b + at * p.b_stride + n;
      if (p.b_transposed || half == 0) fetch_next(from, p.b_stride, p.b_transposed);
      amx::pack_right(to, from, p.b_stride, p.b_transposed,
                      std::min(panel.depth - k, amx::tile_depth),
                      std::max<std::int64_t>(0, panel.n + panel.columns - n));
      to += amx::tile_elements;
    }
  }
}

void pack_rows(std::uint16_t* to, const AmxProduct& p, const Panel& panel, std::int64_t row,
               std::int64_t end) {
  for (std::int64_t k = 0; k < panel.depth; k += amx::tile_depth) {
    for (std::int64_t half = 0; half < amx::block; half += amx::tile_rows) {
      const std::int64_t m = row + half;
      const std::int64_t at = panel.k + k;
      const std::uint16_t* from =
          p.a_transposed ? p.a + at * p.a_stride + m : p.a + m * p.a_stride + at;
      if (!p.a_transposed || half == 0) fetch_next(from, p.a_stride, !p.a_transposed);
      amx::pack_left(to, from, p.a_stride, p.a_transposed, std::max<std::int64_t>(0, end - m),
                     std::min(panel.depth - k, amx::tile_depth));
      to += amx::tile_elements;
    }
  }
}

// A block that was summed aside: scaled, with what is to be added, into its place.
void put(const AmxProduct& p, const float* sums, std::int64_t row, std::int64_t column,
         std::int64_t rows, std::int64_t columns, bool first) {
  const float beta = first ? p.beta : 1.0F;
  const __m512 alpha = _mm512_set1_ps(p.alpha);
  const __m512 keep = _mm512_set1_ps(beta);
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t place = (row + i) * p.c_stride + column;
    const float* const extra = first && p.residual != nullptr
                                   ? p.residual + (row + i) * p.residual_stride + column
                                   : nullptr;
    for (std::int64_t j = 0; j < columns; j += 16) {
      const std::int64_t left = columns - j;
      const auto mask = static_cast<__mmask16>(left >= 16 ? 0xffffU : (1U << left) - 1U);
      __m512 value = _mm512_mul_ps(_mm512_load_ps(sums + i * amx::block + j), alpha);
      if (beta != 0.0F) {
        value = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, p.c + place + j), keep, value);
      }
      if (first && p.bias != nullptr) {
        value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, p.bias + column + j));
      }
      if (extra != nullptr) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, extra + j));
      if (p.rounded != nullptr) {
        _mm256_mask_storeu_epi16(p.rounded + place + j, mask,
                                 reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(value)));
      } else {
        _mm512_mask_storeu_ps(p.c + place + j, mask, value);
      }
    }
  }
}

// Rows [row, end), packed, times strips [strip, last) of a packed panel.
void multiply_rows(const AmxProduct& p, const Panel& panel, const std::uint16_t* right,
                   const std::uint16_t* left, std::int64_t row, std::int64_t end,
                   std::int64_t strip, std::int64_t last) {
  alignas(64) float sums[amx::block * amx::block];
  const std::int64_t steps = (panel.depth + amx::tile_depth - 1) / amx::tile_depth;
  const std::int64_t strip_size = steps * 2 * amx::tile_elements;
  const bool first = panel.k == 0;
  const float beta = first ? p.beta : 1.0F;
  const bool plain = p.rounded == nullptr && p.alpha == 1.0F && (beta == 0.0F || beta == 1.0F) &&
                     (!first || (p.residual == nullptr && p.bias == nullptr));
  for (; strip < last; ++strip) {
    const std::int64_t column = panel.n + strip * amx::block;
    const std::int64_t columns = std::min(panel.n + panel.columns - column, amx::block);
    for (std::int64_t r = row; r < end; r += amx::block) {
      const std::int64_t rows = std::min(end - r, amx::block);
      const std::uint16_t* const lines = left + (r - row) / amx::block * strip_size;
      // Twice as many columns of bf16 lie on a line: what is fetched beyond them is the next
      // block's.
      const std::int64_t place = r * p.c_stride + column;
      float* const to =
          p.rounded != nullptr ? reinterpret_cast<float*>(p.rounded + place) : p.c + place;
      const std::int64_t line = p.rounded != nullptr ? p.c_stride / 2 : p.c_stride;
      const bool direct = plain && rows == amx::block && columns == amx::block;
      const amx::BlockOut out =
          direct ? amx::BlockOut{to, p.c_stride, beta != 0.0F} : amx::BlockOut{sums, amx::block};
      amx::multiply_block(out, lines, right + strip * strip_size, steps, to, line);
      if (!direct) put(p, sums, r, column, rows, columns, first);
    }
  }
}

#pragma GCC pop_options

bool ask_for_tiles() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  const bool tiles = (d >> 24U & 1U) != 0 && (d >> 22U & 1U) != 0;
  if (!tiles || __get_cpuid_count(7, 1, &a, &b, &c, &d) == 0 || (a >> 5U & 1U) == 0) return false;
  if (__builtin_cpu_supports("avx512bw") == 0 || __builtin_cpu_supports("avx512vl") == 0 ||
      __builtin_cpu_supports("avx512dq") == 0) {
    return false;
  }
  // Linux gives the tiles' registers only to a process that asked, before its threads use them.
  constexpr long request_permission = 0x1023;
  constexpr long tile_data = 18;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

}  // namespace

bool amx_usable() {
  static const bool usable = ask_for_tiles();
  return usable;
}

std::size_t amx_scratch_bytes(const AmxProduct& product) {
  const Plan plan = plan_of(product);
  return static_cast<std::size_t>(plan.panel_size + plan.left_size * omp_get_max_threads()) *
         sizeof(std::uint16_t);
}

void amx_product(const AmxProduct& p, std::byte* scratch) {
  const Plan plan = plan_of(p);
  auto* const right = reinterpret_cast<std::uint16_t*>(scratch);
  const int threads = omp_in_parallel() != 0 ? 1 : omp_get_max_threads();
  const std::int64_t row_blocks = (p.m + plan.rows - 1) / plan.rows;
#pragma omp parallel num_threads(threads)
  {
    const amx::TileScope tiles;
    std::uint16_t* const left = right + plan.panel_size + omp_get_thread_num() * plan.left_size;
    for (std::int64_t n = 0; n < p.n; n += plan.columns) {
      for (std::int64_t k = 0; k < p.k; k += plan.depth) {
        const Panel panel{k, std::min(plan.depth, p.k - k), n, std::min(plan.columns, p.n - n)};
        const std::int64_t strips = (panel.columns + amx::block - 1) / amx::block;
        const std::int64_t strip_size = round_up(panel.depth, amx::tile_depth) * amx::block;
#pragma omp for schedule(dynamic, 2)
        for (std::int64_t s = 0; s < strips; ++s) pack_panel(right + s * strip_size, p, panel, s);
        // Units go to whoever is free: processors that are shared do not run evenly. The rows'
        // blocks are cut across their columns where there are few of them.
        const std::int64_t cuts = std::clamp<std::int64_t>(
            threads == 1 ? 1 : (units_per_thread * threads + row_blocks - 1) / row_blocks, 1,
            strips);
        std::int64_t packed = -1;
#pragma omp for schedule(dynamic, 1)
        for (std::int64_t unit = 0; unit < row_blocks * cuts; ++unit) {
          const std::int64_t row = unit / cuts * plan.rows;
          const std::int64_t cut = unit % cuts;
          const std::int64_t end = std::min(row + plan.rows, p.m);
          if (packed != row) {
            for (std::int64_t r = row; r < end; r += amx::block) {
              pack_rows(left + (r - row) / amx::block * strip_size, p, panel, r, end);
            }
            packed = row;
          }
          multiply_rows(p, panel, right, left, row, end, strips * cut / cuts,
                        strips * (cut + 1) / cuts);
        }
      }
    }
  }
}

}  // namespace concordat::device
