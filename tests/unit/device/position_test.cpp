// The bits of an op do not depend on where its tensors lie in memory, and those of elementwise ops
// not on how their elements are cut up: layouts place the same tensors differently, and ZeRO-1 cuts
// them. Reproducible mode rests on it.
#include <array>

#include "unit/device/device_testing.hpp"

namespace concordat::device::testing {
namespace {

constexpr std::int64_t shifts[] = {1, 3, 4, 8, 15, 16, 33};

/// A copy of random values that begins `shift` elements behind an allocation's start.
Tensor shifted(Lab<float>& lab, Shape shape, std::uint64_t seed, std::int64_t shift) {
  const std::int64_t count = num_elements(shape);
  const Tensor room = lab.out({count + shift});
  const Tensor at = room.slice(0, shift, count);
  copy(lab.exec(), at, lab.random({count}, seed));
  return at.reshape(std::move(shape));
}

void expect_same_everywhere(const std::string& what,
                            const std::function<Outputs(Lab<float>&, std::int64_t)>& program) {
  for (const std::string& name : tested_backends()) {
    Lab<float> lab(name);
    const Outputs expected = program(lab, 0);
    for (const std::int64_t shift : shifts) {
      EXPECT_EQ(program(lab, shift), expected) << name << " " << what << " shifted by " << shift;
    }
  }
}

TEST(Position, Products) {
  for (const auto& [m, n, k] :
       {std::array<std::int64_t, 3>{6, 16, 24}, {33, 47, 65}, {128, 96, 40}}) {
    const auto label = std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k);
    expect_same_everywhere(label, [&, m = m, n = n, k = k](Lab<float>& lab, std::int64_t shift) {
      const Tensor forward = shifted(lab, {m, n}, 9, shift);
      matmul(lab.exec(), forward, shifted(lab, {m, k}, 1, shift), shifted(lab, {n, k}, 2, shift),
             {.transpose_b = true});
      const Tensor weight = shifted(lab, {m, n}, 3, shift);
      matmul(lab.exec(), weight, shifted(lab, {k, m}, 4, shift), shifted(lab, {k, n}, 5, shift),
             {.transpose_a = true, .beta = 1.0F});
      return Outputs{lab.get(forward), lab.get(weight)};
    });
  }
}

TEST(Position, LayersAndNorms) {
  constexpr std::int64_t rows = 12;
  for (const std::int64_t width : {16, 40, 50}) {
    expect_same_everywhere(
        "width " + std::to_string(width), [&](Lab<float>& lab, std::int64_t shift) {
          const Tensor x = shifted(lab, {rows, width}, 1, shift);
          const Tensor grad = shifted(lab, {rows, width}, 2, shift);
          const Tensor weight = shifted(lab, {width}, 3, shift);
          const Tensor y = shifted(lab, {rows, width}, 9, shift);
          const Tensor inv_rms = shifted(lab, {rows}, 9, shift);
          rms_norm_forward(lab.exec(), y, inv_rms, x, weight, 1e-5F);
          const Tensor grad_x = shifted(lab, {rows, width}, 9, shift);
          rms_norm_backward_input(lab.exec(), grad_x, grad, x, weight, inv_rms);
          const Tensor grad_weight = shifted(lab, {width}, 4, shift);
          rms_norm_backward_weight(lab.exec(), grad_weight, grad, x, inv_rms);
          const Tensor gated = shifted(lab, {rows, width}, 9, shift);
          swiglu_forward(lab.exec(), gated, x, grad);
          const Tensor table = shifted(lab, {7, width}, 5, shift);
          embedding_backward(lab.exec(), table, grad, lab.ints(indices(6, rows, 7)), 0);
          const Tensor columns = shifted(lab, {width}, 7, shift);
          add_column_sums(lab.exec(), columns, grad);
          return Outputs{lab.get(columns),     lab.get(y),     lab.get(inv_rms), lab.get(grad_x),
                         lab.get(grad_weight), lab.get(gated), lab.get(table)};
        });
  }
}

TEST(Position, LayerNormAndGelu) {
  constexpr std::int64_t rows = 12;
  for (const std::int64_t width : {16, 40, 50}) {
    expect_same_everywhere("width " + std::to_string(width), [&](Lab<float>& lab,
                                                                 std::int64_t shift) {
      const Tensor x = shifted(lab, {rows, width}, 1, shift);
      const Tensor grad = shifted(lab, {rows, width}, 2, shift);
      const Tensor weight = shifted(lab, {width}, 3, shift);
      const Tensor bias = shifted(lab, {width}, 4, shift);
      const Tensor y = shifted(lab, {rows, width}, 9, shift);
      const Tensor statistics = shifted(lab, {rows, 2}, 9, shift);
      layer_norm_forward(lab.exec(), y, statistics, x, weight, bias, 1e-5F);
      const Tensor grad_x = shifted(lab, {rows, width}, 9, shift);
      layer_norm_backward_input(lab.exec(), grad_x, grad, x, weight, statistics);
      const Tensor grad_weight = shifted(lab, {width}, 5, shift);
      const Tensor grad_bias = shifted(lab, {width}, 6, shift);
      layer_norm_backward_weight(lab.exec(), grad_weight, grad_bias, grad, x, statistics);
      const Tensor bent = shifted(lab, {rows, width}, 9, shift);
      gelu_forward(lab.exec(), bent, x);
      const Tensor unbent = shifted(lab, {rows, width}, 9, shift);
      gelu_backward(lab.exec(), unbent, grad, x);
      return Outputs{lab.get(y),         lab.get(statistics), lab.get(grad_x), lab.get(grad_weight),
                     lab.get(grad_bias), lab.get(bent),       lab.get(unbent)};
    });
  }
}

TEST(Position, TheOptimizerCutAnywhere) {
  constexpr std::int64_t count = 1000;
  for (const std::string& name : tested_backends()) {
    Lab<float> lab(name);
    const auto scalar = [&](float value) { return lab.in({}, {value}); };
    const AdamwScalars scalars{scalar(1e-3F), scalar(0.1F), scalar(0.05F), scalar(0.7F),
                               scalar(0.0F)};
    // Three updates of [0, count), each in two calls that meet at `cut`.
    const auto update = [&](std::int64_t cut, std::int64_t shift) {
      const Tensor master = shifted(lab, {count}, 1, shift);
      const Tensor m = shifted(lab, {count}, 2, shift);
      const Tensor v = shifted(lab, {count}, 3, shift);
      const auto squares = lab.get(v);
      std::vector<float> positive;
      for (const float each : squares) positive.push_back(each * each);
      copy(lab.exec(), v, lab.in({count}, positive));
      const Tensor narrow =
          lab.session.backend().allocate(Dtype::bf16, {count + shift}).slice(0, shift, count);
      for (std::uint64_t step = 0; step < 3; ++step) {
        const Tensor gradient = shifted(lab, {count}, 4 + step, shift);
        for (const auto& [begin, n] : {std::pair{std::int64_t{0}, cut}, {cut, count - cut}}) {
          if (n == 0) continue;
          adamw(lab.exec(),
                {master.slice(0, begin, n), m.slice(0, begin, n), v.slice(0, begin, n),
                 narrow.slice(0, begin, n)},
                gradient.slice(0, begin, n), scalars, {.weight_decay = 0.1F});
        }
      }
      const Tensor wide = lab.out({count});
      copy(lab.exec(), wide, narrow);
      return Outputs{lab.get(master), lab.get(m), lab.get(v), lab.get(wide)};
    };
    const Outputs whole = update(count, 0);
    for (const std::int64_t cut : {1, 7, 8, 16, 33, 500, 999}) {
      EXPECT_EQ(update(cut, 0), whole) << name << " cut at " << cut;
      EXPECT_EQ(update(cut, 5), whole) << name << " shifted and cut at " << cut;
    }
  }
}

TEST(Position, SquaresByBlock) {
  // Each block is a sum by itself: exact in f64 for whole numbers, and equal to the op on the block
  // alone for any others.
  for (const std::string& name : tested_backends()) {
    Lab<float> lab(name);
    Lab<double> sums(name);
    for (const std::int64_t block : {1, 8, 4096, 16384}) {
      for (const std::int64_t count : {1, 7, 8, 4096, 16385, 40000}) {
        const std::int64_t blocks = (count + block - 1) / block;
        const auto by_block = [&](const Tensor& in) {
          const Tensor out =
              lab.session.backend().allocate(Dtype::f64, {(in.size() + block - 1) / block});
          fill(lab.exec(), out, std::nan(""));
          sum_squares_by_block(lab.exec(), out, in, block);
          return read_back_all<double>(lab.exec(), out).get();
        };
        const Tensor in = shifted(lab, {count}, 1, 3);
        const std::vector<double> all = by_block(in);
        ASSERT_EQ(static_cast<std::int64_t>(all.size()), blocks);
        const auto values = lab.get(in);
        for (std::int64_t i = 0; i < blocks; i += std::max<std::int64_t>(1, blocks / 5)) {
          const std::int64_t begin = i * block;
          const std::int64_t n = std::min(block, count - begin);
          EXPECT_EQ(by_block(in.slice(0, begin, n)).front(), all[static_cast<std::size_t>(i)])
              << name << " block " << i;
          double plain = 0.0;
          for (std::int64_t j = begin; j < begin + n; ++j) {
            const double value = values[static_cast<std::size_t>(j)];
            plain += value * value;
          }
          EXPECT_NEAR(all[static_cast<std::size_t>(i)], plain, 1e-13 * plain) << name;
        }
        const Tensor total = sums.session.backend().allocate(Dtype::f64, {});
        const Tensor table = sums.in({blocks}, all);
        sum_in_order(sums.exec(), total, table);
        double in_order = 0.0;
        for (const double each : all) in_order += each;
        EXPECT_EQ(read_back_all<double>(sums.exec(), total).get().front(), in_order) << name;
      }
    }
  }
}

}  // namespace
}  // namespace concordat::device::testing
