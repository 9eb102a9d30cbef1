// Cross entropy (whole and in vocabulary shards), clipping and AdamW.
#include "unit/device/device_testing.hpp"

namespace concordat::device::testing {
namespace {

TEST(CrossEntropy, MatchesTheReferenceWithPaddingAndIgnoredTargets) {
  // Sums of at most 300 exponentials, each within 2 ulp: 1e-5 covers 300 * 2^-24.
  for (std::int64_t vocab : {1, 2, 9, 33, 264, 300}) {
    check_backends(
        std::to_string(vocab),
        [=](Lab<float>& lab) {
          std::int64_t valid = vocab > 8 ? vocab - 7 : vocab;
          VocabShard shard{.begin = 0, .valid = valid};
          Tensor logits = lab.random({50, vocab}, 1);
          Tensor factor = lab.in({}, {30.0F});
          scale_by(lab.exec(), logits, factor);
          std::vector<std::int32_t> wanted = indices(2, 50, static_cast<std::int32_t>(valid));
          wanted[4] = -1;
          Tensor targets = lab.ints(wanted);
          Tensor max = lab.out({50});
          Tensor total = lab.out({50});
          Tensor target = lab.out({50});
          Tensor loss = lab.out({50});
          cross_entropy_max(lab.exec(), max, logits, shard);
          cross_entropy_sum(lab.exec(), total, target, logits, max, targets, shard);
          cross_entropy_loss(lab.exec(), loss, max, total, target, targets);
          Tensor scale = lab.in({}, {0.125F});
          cross_entropy_gradient(lab.exec(), logits, logits, max, total, targets, scale, shard);
          return Outputs{lab.get(max), lab.get(total), lab.get(target), lab.get(loss),
                         lab.get(logits)};
        },
        1e-5);
  }
}

TEST(CrossEntropy, TwoShardsOfTheVocabularyGiveTheWhole) {
  for (const std::string& name : tested_backends()) {
    Lab<float> lab(name);
    Tensor logits = lab.random({6, 10}, 1);
    std::vector<std::int32_t> wanted{0, 9, 5, 4, 7, 2};
    Tensor targets = lab.ints(wanted);
    VocabShard whole{.begin = 0, .valid = 10};
    Tensor max = lab.out({6});
    Tensor total = lab.out({6});
    Tensor target = lab.out({6});
    Tensor grad = lab.out({6, 10});
    Tensor scale = lab.in({}, {1.0F});
    cross_entropy_max(lab.exec(), max, logits, whole);
    cross_entropy_sum(lab.exec(), total, target, logits, max, targets, whole);
    cross_entropy_gradient(lab.exec(), grad, logits, max, total, targets, scale, whole);
    // Columns 0..5 and 6..9; the second shard is padded to 6 columns of poison.
    Tensor sum_total = lab.out({6});
    Tensor sum_target = lab.out({6});
    fill(lab.exec(), sum_total, 0.0);
    fill(lab.exec(), sum_target, 0.0);
    std::vector<Tensor> parts;
    for (std::int64_t begin : {0, 6}) {
      std::int64_t valid = begin == 0 ? 6 : 4;
      Tensor part = lab.out({6, 6});
      fill(lab.exec(), part, std::nan(""));
      copy(lab.exec(), part.slice(1, 0, valid), logits.slice(1, begin, valid));
      VocabShard shard{.begin = begin, .valid = valid};
      Tensor local = lab.out({6});
      Tensor local_target = lab.out({6});
      cross_entropy_sum(lab.exec(), local, local_target, part, max, targets, shard);
      add(lab.exec(), sum_total, sum_total, local);
      add(lab.exec(), sum_target, sum_target, local_target);
      parts.push_back(part);
    }
    expect_near(lab.get(sum_total), lab.get(total), 1e-6, name);
    expect_near(lab.get(sum_target), lab.get(target), 0.0, name);
    for (std::size_t i = 0; i < 2; ++i) {
      std::int64_t begin = i == 0 ? 0 : 6;
      std::int64_t valid = i == 0 ? 6 : 4;
      VocabShard shard{.begin = begin, .valid = valid};
      cross_entropy_gradient(lab.exec(), parts[i], parts[i], max, sum_total, targets, scale, shard);
      expect_near(lab.get(parts[i].slice(1, 0, valid)), lab.get(grad.slice(1, begin, valid)), 1e-6,
                  name);
      for (float each : lab.get(parts[i].slice(1, valid, 6 - valid))) EXPECT_EQ(each, 0.0F);
    }
  }
}

TEST(ClipFactor, ShrinksLongGradientsAndReportsInfinity) {
  for (const std::string& name : tested_backends()) {
    Lab<float> lab(name);
    Tensor factor = lab.out({});
    Tensor found = lab.out({});
    auto clip = [&](float squares, float max_norm) {
      clip_factor(lab.exec(), factor, found, lab.in({}, {squares}), max_norm);
      return std::pair{lab.get(factor)[0], lab.get(found)[0]};
    };
    EXPECT_EQ(clip(16.0F, 1.0F), std::pair(0.25F, 0.0F)) << name;
    EXPECT_EQ(clip(0.25F, 1.0F), std::pair(1.0F, 0.0F)) << name;
    EXPECT_EQ(clip(16.0F, 0.0F), std::pair(1.0F, 0.0F)) << name;
    EXPECT_EQ(clip(INFINITY, 1.0F), std::pair(0.0F, 1.0F)) << name;
    EXPECT_EQ(clip(NAN, 1.0F), std::pair(0.0F, 1.0F)) << name;
  }
}

Outputs train(Lab<float>& lab, std::int64_t n, float found_inf, Dtype compute) {
  AdamwState state{lab.random({n}, 1), lab.random({n}, 2), lab.random({n}, 3),
                   lab.session.backend().allocate(compute, {n})};
  sum_squares(lab.exec(), lab.out({}), state.v);
  Tensor v = state.v;
  add(lab.exec(), v, v, v);
  fill(lab.exec(), v, 0.25);
  for (int step = 1; step <= 3; ++step) {
    auto at = static_cast<float>(step);
    AdamwScalars scalars{lab.in({}, {1e-2F}), lab.in({}, {1.0F - std::pow(0.9F, at)}),
                         lab.in({}, {1.0F - std::pow(0.95F, at)}), lab.in({}, {0.5F}),
                         lab.in({}, {found_inf})};
    adamw(lab.exec(), state, lab.random({n}, 10 + static_cast<std::uint64_t>(step)), scalars,
          {.weight_decay = 0.1F});
  }
  Tensor wide = lab.out({n});
  if (found_inf == 0.0F) {
    copy(lab.exec(), wide, state.compute);
  } else {
    fill(lab.exec(), wide, 0.0);
  }
  return {lab.get(state.master), lab.get(state.m), lab.get(state.v), lab.get(wide)};
}

TEST(Adamw, MatchesTheReference) {
  // fp32 against f64 inside: a dozen roundings of values near one.
  for (std::int64_t n : {1, 7, 33, 4097}) {
    check_backends(
        std::to_string(n), [n](Lab<float>& lab) { return train(lab, n, 0.0F, Dtype::f32); }, 2e-6);
  }
}

TEST(Adamw, ComputeCopyIsTheRoundedMasterAndInfinityChangesNothing) {
  for (const std::string& name : tested_backends()) {
    Lab<float> lab(name);
    Outputs out = train(lab, 100, 0.0F, Dtype::bf16);
    for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(out[3][i], to_float(to_bf16(out[0][i])));
    EXPECT_EQ(train(lab, 100, 1.0F, Dtype::f32)[0], numbers(1, 100)) << name;
  }
}

}  // namespace
}  // namespace concordat::device::testing
