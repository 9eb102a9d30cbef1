// Accesses of 128 bits and element by element: the same bits, with rows that end between two
// groups, and views that begin between them.
#include <array>

#include "emulator.hpp"
#include "unit/device/device_testing.hpp"

namespace concordat::device::testing {
namespace {

/// Where matrices and vectors lie: at multiples of 16 bytes, or one element behind.
class Placed {
 public:
  Placed(Lab<float>& lab, bool packed) : lab_(lab), first_(packed ? 0 : 1), odd_(packed ? 0 : 1) {}
  Tensor matrix(std::int64_t rows, std::int64_t cols, Dtype dtype = Dtype::f32) {
    const std::int64_t stride = (cols + first_ + 7) / 8 * 8 + odd_;
    const Tensor whole = lab_.session.backend().allocate(dtype, {rows, stride});
    fill(lab_.exec(), whole, std::nan(""));
    return whole.slice(1, first_, cols);
  }
  Tensor matrix(std::int64_t rows, std::int64_t cols, std::uint64_t seed,
                Dtype dtype = Dtype::f32) {
    return filled(matrix(rows, cols, dtype), seed);
  }
  Tensor vector(std::int64_t count, Dtype dtype = Dtype::f32) {
    const Tensor whole = lab_.session.backend().allocate(dtype, {count + first_});
    fill(lab_.exec(), whole, std::nan(""));
    return whole.slice(0, first_, count);
  }
  Tensor vector(std::int64_t count, std::uint64_t seed, Dtype dtype = Dtype::f32) {
    return filled(vector(count, dtype), seed);
  }
  Tensor scalar(float value) { return lab_.in({}, {value}); }
  std::vector<float> get(const Tensor& t) {
    Tensor wide = lab_.out(t.shape());
    copy(lab_.exec(), wide, t);
    return lab_.get(wide);
  }
  Lab<float>& lab() { return lab_; }
  Exec& exec() { return lab_.exec(); }

 private:
  Tensor filled(const Tensor& t, std::uint64_t seed) {
    copy(lab_.exec(), t, lab_.random(t.shape(), seed));
    return t;
  }
  Lab<float>& lab_;
  std::int64_t first_;
  std::int64_t odd_;
};

constexpr std::array formats{Dtype::f32, Dtype::bf16, Dtype::f16};
// Whole groups of 4 and 8, a rest, less than a group, and more than a warp or block takes at once.
constexpr std::array<std::int64_t, 4> widths{24, 29, 3, 1031};

/// `program` on the emulated device, packed and not: the same bits, near the reference's.
template <typename Program>
void check(const std::string& what, std::int64_t width, double tolerance, const Program& program) {
  std::vector<Outputs> results;
  for (const bool packed : {true, false}) {
    Lab<float> lab("cuda");
    Placed placed(lab, packed);
    results.push_back(program(placed));
  }
  Lab<float> oracle("reference");
  Placed plain(oracle, true);
  const Outputs expected = program(plain);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const std::string output = what + std::to_string(width) + " output " + std::to_string(i);
    expect_near(results[1][i], results[0][i], 0.0, output + ", not packed");
    expect_near(results[0][i], expected[i], tolerance, output);
  }
}

double rounding(Dtype dtype) {
  return dtype == Dtype::f32 ? 0.0 : dtype == Dtype::bf16 ? 0x1p-8 : 0x1p-11;
}

TEST(Packs, Activations) {
  for (const Dtype dtype : formats) {
    for (const std::int64_t width : widths) {
      check("activations ", width, 1e-6 + rounding(dtype), [&](Placed& in) {
        const Tensor gelu = in.matrix(3, width, dtype);
        const Tensor gelu_gradient = in.matrix(3, width, dtype);
        const Tensor swiglu = in.matrix(3, width, dtype);
        const Tensor gate_gradient = in.matrix(3, width, dtype);
        const Tensor up_gradient = in.matrix(3, width, dtype);
        const Tensor x = in.matrix(3, width, 1, dtype);
        const Tensor up = in.matrix(3, width, 2, dtype);
        const Tensor g = in.matrix(3, width, 3);
        gelu_forward(in.exec(), gelu, x);
        gelu_backward(in.exec(), gelu_gradient, g, x);
        swiglu_forward(in.exec(), swiglu, x, up);
        swiglu_backward(in.exec(), gate_gradient, up_gradient, g, x, up);
        return Outputs{in.get(gelu), in.get(gelu_gradient), in.get(swiglu), in.get(gate_gradient),
                       in.get(up_gradient)};
      });
    }
  }
}

TEST(Packs, Norms) {
  // Sums over a row in another order: 1031 terms of 2^-24 each, at most.
  for (const Dtype dtype : formats) {
    for (const std::int64_t width : widths) {
      check("norms ", width, 2e-5 + rounding(dtype), [&](Placed& in) {
        const Tensor x = in.matrix(5, width, 1);
        const Tensor weight = in.vector(width, 2);
        const Tensor bias = in.vector(width, 3);
        const Tensor g = in.matrix(5, width, 4);
        const Tensor y = in.matrix(5, width, dtype);
        const Tensor z = in.matrix(5, width, dtype);
        const Tensor inv = in.lab().out({5});
        const Tensor statistics = in.lab().out({5, 2});
        const Tensor set = in.matrix(5, width);
        const Tensor added = in.matrix(5, width, 5);
        const Tensor weight_gradient = in.vector(width, 6);
        const Tensor other_gradient = in.vector(width, 7);
        const Tensor bias_gradient = in.vector(width, 8);
        rms_norm_forward(in.exec(), y, inv, x, weight, 1e-5F);
        rms_norm_backward_input(in.exec(), set, g, x, weight, inv);
        rms_norm_backward_weight(in.exec(), weight_gradient, g, x, inv);
        layer_norm_forward(in.exec(), z, statistics, x, weight, bias, 1e-5F);
        layer_norm_backward_input(in.exec(), added, g, x, weight, statistics, Write::accumulate);
        layer_norm_backward_weight(in.exec(), other_gradient, bias_gradient, g, x, statistics);
        return Outputs{in.get(y),
                       in.get(z),
                       in.get(set),
                       in.get(added),
                       in.get(inv),
                       in.get(statistics),
                       in.get(weight_gradient),
                       in.get(other_gradient),
                       in.get(bias_gradient)};
      });
    }
  }
}

TEST(Packs, TheLoss) {
  for (const Dtype dtype : formats) {
    for (const std::int64_t width : widths) {
      check("loss ", width, 1e-5 + rounding(dtype), [&](Placed& in) {
        const VocabShard shard{.begin = 10, .valid = width - 2};
        const Tensor logits = in.matrix(4, width, 1);
        const Tensor gradient = in.matrix(4, width, dtype);
        const Tensor row_max = in.lab().out({4});
        const Tensor row_sum = in.lab().out({4});
        const Tensor target_logit = in.lab().out({4});
        const Tensor targets = in.lab().ints({10, 9 + static_cast<std::int32_t>(width) - 2, 3, -1});
        cross_entropy_max(in.exec(), row_max, logits, shard);
        cross_entropy_sum(in.exec(), row_sum, target_logit, logits, row_max, targets, shard);
        cross_entropy_gradient(in.exec(), gradient, logits, row_max, row_sum, targets,
                               in.scalar(0.25F), shard);
        return Outputs{in.get(row_max), in.get(row_sum), in.get(target_logit), in.get(gradient)};
      });
    }
  }
}

TEST(Packs, Embeddings) {
  for (const Dtype dtype : formats) {
    for (const std::int64_t width : widths) {
      check("embeddings ", width, 1e-6, [&](Placed& in) {
        const Tensor table = in.matrix(4, width, 1, dtype);
        const Tensor tokens = in.lab().ints({7, 4, 4, 9, 7});
        const Tensor set = in.matrix(5, width);
        const Tensor added = in.matrix(5, width, 2);
        const Tensor gradient = in.matrix(4, width, 3);
        embedding_forward(in.exec(), set, tokens, table, 4);
        embedding_forward(in.exec(), added, tokens, table, 4, Write::accumulate);
        embedding_backward(in.exec(), gradient, set, tokens, 4);
        return Outputs{in.get(set), in.get(added), in.get(gradient)};
      });
    }
  }
}

TEST(Packs, FlatSpans) {
  for (const Dtype dtype : formats) {
    for (const std::int64_t count : {24, 29, 3, 4097}) {
      check("spans ", count, 1e-5 + rounding(dtype), [&](Placed& in) {
        AdamwState state{.master = in.vector(count, 1),
                         .m = in.vector(count, 2),
                         .v = in.vector(count),
                         .compute = in.vector(count, dtype)};
        fill(in.exec(), state.v, 0.5);
        const Tensor gradient = in.vector(count, 3);
        adamw(
            in.exec(), state, gradient,
            {in.scalar(1e-2F), in.scalar(0.1F), in.scalar(0.05F), in.scalar(0.5F), in.scalar(0.0F)},
            {.weight_decay = 0.1F});
        const Tensor sum_of = in.vector(count);
        add(in.exec(), sum_of, state.m, gradient);
        scale_by(in.exec(), sum_of, in.scalar(1.5F));
        const Tensor total = in.lab().out({});
        sum(in.exec(), total, gradient);
        Outputs blocks;
        for (const std::int64_t block : {8, 7}) {
          const Tensor by_block =
              in.lab().session.backend().allocate(Dtype::f64, {(count + block - 1) / block});
          sum_squares_by_block(in.exec(), by_block, gradient, block);
          blocks.push_back(in.get(by_block));
        }
        return Outputs{
            in.get(state.master), in.get(state.m), in.get(state.v), in.get(state.compute),
            in.get(sum_of),       in.get(total),   blocks[0],       blocks[1]};
      });
    }
  }
}

TEST(Packs, SumsOfColumnsAndWhatComesBehindAProduct) {
  for (const Dtype dtype : formats) {
    for (const std::int64_t width : {24, 29, 3}) {
      // 70 terms in another order, and sums of 5 products; the result rounded.
      check("columns ", width, 3e-5 + rounding(dtype), [&](Placed& in) {
        const Tensor sums = in.vector(width, 1);
        add_column_sums(in.exec(), sums, in.matrix(70, width, 2, dtype));
        const Tensor c = in.matrix(6, width, dtype);
        matmul(in.exec(), c, in.lab().random({6, 5}, 3), in.lab().random({5, width}, 4),
               {.bias = in.vector(width, 5), .residual = in.matrix(6, width, 6)});
        return Outputs{in.get(sums), in.get(c)};
      });
    }
  }
}

TEST(Packs, AreTakenWhereRowsAndAddressesAllowIt) {
  for (const bool packed : {true, false}) {
    Lab<float> lab("cuda");
    Placed in(lab, packed);
    const auto wide = [&](const auto& op) {
      lab.exec().stream.synchronize();
      const std::uint64_t before = cuda_emulator::wide_accesses();
      op();
      lab.exec().stream.synchronize();
      return cuda_emulator::wide_accesses() - before;
    };
    const Tensor flat = in.vector(67, 1);  // 16 groups of 4 and a rest
    const Tensor factor = in.scalar(2.0F);
    EXPECT_EQ(wide([&] { scale_by(in.exec(), flat, factor); }), packed ? 2 * 16 : 0);
    const Tensor x = in.matrix(3, 27, 2, Dtype::bf16);  // of 3 groups of 8
    const Tensor y = in.matrix(3, 27, Dtype::bf16);
    EXPECT_EQ(wide([&] { gelu_forward(in.exec(), y, x); }), packed ? 3 * 3 * 2 : 0);
    const Tensor z = in.matrix(2, 16, 3);
    const Tensor normed = in.matrix(2, 16);
    const Tensor weight = in.vector(16, 4);
    const Tensor inv = lab.out({2});
    // x twice, the weight and y once.
    EXPECT_EQ(wide([&] { rms_norm_forward(in.exec(), normed, inv, z, weight, 1e-5F); }),
              packed ? 2 * 4 * 4 : 0);
  }
}

}  // namespace
}  // namespace concordat::device::testing
