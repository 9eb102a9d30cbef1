#include "concordat/checkpoint/compare.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "concordat/comm/threads.hpp"
#include "support/expect_error.hpp"
#include "support/faulty_files.hpp"
#include "support/temporary_folder.hpp"
#include "unit/checkpoint/test_state.hpp"

namespace concordat::checkpoint {
namespace {

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float infinite = std::numeric_limits<float>::infinity();

/// A tensor that one rank holds.
template <typename T>
NamedTensor held(const std::string& name, const Shape& shape, const std::vector<T>& values) {
  const Tensor local = host_tensor(dtype_of<T>, {num_elements(shape)});
  std::copy(values.begin(), values.end(), local.span<T>().begin());
  const auto slice = parallel::slice_of(0, 1, num_elements(shape), 6);
  NamedTensor tensor = named_slice(name, num_elements(shape), dtype_of<T>, local, slice);
  tensor.shape = shape;
  return tensor;
}

class Compare : public testing::Test {
 protected:
  Path save(const std::string& run, const std::vector<NamedTensor>& tensors,
            const Metadata& metadata = {}, std::uint64_t step = 3) {
    const auto self = comm::self_communicator();
    const auto saved = save_generation(*self, posix_files(), folder_.path() / run,
                                       {.step = step, .round = 0}, tensors, metadata);
    return folder_.path() / run / saved.name;
  }
  Comparison compare_values(const std::vector<float>& a, const std::vector<float>& b,
                            const CompareOptions& options = {}) {
    const std::string pair = std::to_string(++pairs_);
    const auto size = static_cast<std::int64_t>(a.size());
    return compare_generations(posix_files(), save(pair + "a", {held<float>("x", {size}, a)}),
                               save(pair + "b", {held<float>("x", {size}, b)}), options);
  }
  testing_support::TemporaryFolder folder_;
  int pairs_ = 0;
};

TEST_F(Compare, TheSameStateOfTwoLayoutsIsEqual) {
  const auto save_in = [&](const std::string& run, int ranks, const parallel::MeshShape& mesh) {
    comm::run_threads(ranks, [&](comm::Communicator& comm) {
      TestState state(comm, mesh);
      state.fill(4);
      save_generation(comm, posix_files(), folder_.path() / run, {.step = 7, .round = 2},
                      state.tensors, {{"layout", "any"}});
    });
    return folder_.path() / run / "step-000007";
  };
  const auto one = save_in("one", 1, {1, 1, 1, 1});
  const auto found = compare_generations(posix_files(), one, save_in("four", 4, {2, 1, 1, 2}));
  EXPECT_TRUE(found.equal());
  EXPECT_EQ(found.num_compared, 10U);
  EXPECT_EQ(found.num_elements, 2 * (66 + 24 + 144'000 + 6) + 1000 + 1);
}

TEST_F(Compare, CountsWhatDiffersAndNamesTheFirstPlace) {
  const std::vector<float> a{0.5F, 1.0F, 2.0F, -4.0F, 0.0F, 8.0F};
  std::vector<float> b = a;
  b[2] = 2.5F;
  b[3] = -3.0F;
  const auto found = compare_generations(posix_files(), save("a", {held<float>("w/x", {2, 3}, a)}),
                                         save("b", {held<float>("w/x", {2, 3}, b)}));
  ASSERT_EQ(found.datasets.size(), 1U);
  const DatasetDifference& d = found.datasets.front();
  EXPECT_EQ(d.name, "w/x");
  EXPECT_EQ(d.num_elements, 6U);
  EXPECT_EQ(d.num_different, 2U);
  EXPECT_EQ(d.largest_absolute, 1.0);
  EXPECT_EQ(d.largest_relative, 0.25);
  EXPECT_EQ(d.first_place, "[0,2]");
  EXPECT_EQ(d.first_a, "2");
  EXPECT_EQ(d.second_b, "2.5");
  EXPECT_FALSE(found.same_tensors());
  EXPECT_TRUE(found.metadata.empty());
}

TEST_F(Compare, ADifferenceBehindTheFirstBlockIsFound) {
  std::vector<float> a(300'000, 1.0F);
  std::vector<float> b = a;
  b[299'999] = 2.0F;
  const auto found = compare_values(a, b);
  ASSERT_EQ(found.datasets.size(), 1U);
  EXPECT_EQ(found.datasets[0].num_different, 1U);
  EXPECT_EQ(found.datasets[0].first_place, "[299999]");
}

TEST_F(Compare, AToleranceIsAbsoluteOrRelative) {
  const std::vector<float> a{1.0F, 1000.0F};
  const std::vector<float> b{1.0625F, 1062.5F};
  EXPECT_EQ(compare_values(a, b).datasets.at(0).num_different, 2U);
  EXPECT_EQ(compare_values(a, b, {.absolute = 0.0625}).datasets.at(0).num_different, 1U);
  EXPECT_EQ(compare_values(a, b, {.absolute = 0.0625}).datasets.at(0).first_place, "[1]");
  EXPECT_TRUE(compare_values(a, b, {.relative = 0.0625}).equal());
  EXPECT_EQ(compare_values(a, b, {.relative = 0.05}).datasets.at(0).num_different, 2U);
}

TEST_F(Compare, WithoutAToleranceBitsCountAndWithOneValues) {
  const auto found = compare_values({0.0F}, {-0.0F});
  ASSERT_EQ(found.datasets.size(), 1U);
  EXPECT_EQ(found.datasets[0].largest_absolute, 0.0);
  EXPECT_TRUE(compare_values({0.0F}, {-0.0F}, {.absolute = 1e-30}).equal());
}

TEST_F(Compare, WhatIsNotANumberEqualsItselfAlone) {
  EXPECT_TRUE(compare_values({not_a_number, infinite}, {not_a_number, infinite}).equal());
  const auto found =
      compare_values({1.0F, infinite}, {not_a_number, 2.0F}, {.absolute = 9, .relative = 9});
  ASSERT_EQ(found.datasets.size(), 1U);
  EXPECT_EQ(found.datasets[0].num_different, 2U);
  EXPECT_TRUE(std::isinf(found.datasets[0].largest_absolute));
  EXPECT_EQ(found.datasets[0].second_b, "nan");
}

TEST_F(Compare, SixteenBitAndWholeNumbersKeepTheirValues) {
  constexpr std::int64_t large = (std::int64_t{1} << 53U) + 1;
  const auto found = compare_generations(
      posix_files(),
      save("a", {held<Bf16>("b", {2}, {to_bf16(0.5F), to_bf16(1.0F)}),
                 held<F16>("f", {1}, {to_f16(0.25F)}), held<std::int64_t>("i", {}, {large})}),
      save("b", {held<Bf16>("b", {2}, {to_bf16(0.5F), to_bf16(-1.0F)}),
                 held<F16>("f", {1}, {to_f16(0.5F)}), held<std::int64_t>("i", {}, {large - 1})}));
  ASSERT_EQ(found.datasets.size(), 3U);
  EXPECT_EQ(found.datasets[0].first_place, "[1]");
  EXPECT_EQ(found.datasets[0].second_b, "-1");
  EXPECT_EQ(found.datasets[0].largest_relative, 2.0);
  EXPECT_EQ(found.datasets[1].first_a, "0.25");
  EXPECT_EQ(found.datasets[2].first_place, "");
  EXPECT_EQ(found.datasets[2].first_a, "9007199254740993");
  EXPECT_EQ(found.datasets[2].second_b, "9007199254740992");
}

TEST_F(Compare, DatasetsOfOneSideFormsAndMetadataAreNamed) {
  const auto a = save(
      "a",
      {held<float>("x", {2}, {1, 2}), held<float>("y", {2}, {1, 2}), held<float>("z", {2}, {1, 2})},
      {{"layout", "tp2"}, {"gone", "1"}}, 3);
  const auto b = save("b",
                      {held<float>("x", {2}, {1, 2}), held<float>("new", {2}, {1, 2}),
                       held<float>("z", {2, 1}, {1, 2})},
                      {{"layout", "pp2"}}, 4);
  const auto found = compare_generations(posix_files(), a, b);
  EXPECT_EQ(found.only_in_first, std::vector<std::string>{"y"});
  EXPECT_EQ(found.only_in_second, std::vector<std::string>{"new"});
  ASSERT_EQ(found.datasets.size(), 1U);
  EXPECT_EQ(found.datasets[0].first_form, "f32 " + to_string(Shape{2}));
  EXPECT_EQ(found.datasets[0].second_form, "f32 " + to_string(Shape{2, 1}));
  EXPECT_EQ(found.num_compared, 1U);
  ASSERT_EQ(found.metadata.size(), 3U);
  EXPECT_EQ(found.metadata[0].key, "gone");
  EXPECT_EQ(found.metadata[0].second, std::nullopt);
  EXPECT_EQ(found.metadata[1].key, "layout");
  EXPECT_EQ(found.metadata[1].second, "pp2");
  EXPECT_EQ(found.metadata[2].key, "step");
  EXPECT_EQ(found.metadata[2].first, "3");
}

TEST_F(Compare, AFlippedBitIsADifferenceAndAShortFileAnError) {
  const std::vector<float> values(5000, 1.0F);
  const auto a = save("a", {held<float>("x", {5000}, values)});
  const auto b = save("b", {held<float>("x", {5000}, values)});
  const auto offset = read_manifest(posix_files(), b).datasets[0].offset;
  testing_support::flip_bit(b / "state.h5", offset);
  EXPECT_EQ(compare_generations(posix_files(), a, b).datasets.at(0).first_place, "[0]");
  std::filesystem::resize_file(b / "state.h5", offset + 4000);
  EXPECT_ERROR_SAYS(compare_generations(posix_files(), a, b), concordat::errors::malformed,
                    "state.h5");
}

}  // namespace
}  // namespace concordat::checkpoint
