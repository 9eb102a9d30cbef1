// Groups are added as the tree that `comm` adds ranks in, whoever holds how many of them.
#include "concordat/model/gradient_groups.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "concordat/core/error.hpp"

namespace concordat::model {
namespace {

/// What a rank's buffers would hold: sums as text. Each group is "0", "1", ...
std::vector<std::string> local_sums(int ranks, int groups, int per_group) {
  std::vector<std::string> sums;
  const int mine = groups / ranks;
  for (int rank = 0; rank < ranks; ++rank) {
    const GradientGroups plan(mine * per_group, mine);
    std::vector<std::string> buffers(static_cast<std::size_t>(plan.depth()));
    for (int m = 0; m < mine * per_group; ++m) {
      const GroupPlace place = plan.place(m);
      std::string& into = buffers.at(static_cast<std::size_t>(place.depth));
      EXPECT_EQ(place.opens, m % per_group == 0);
      if (place.opens) into = std::to_string(rank * mine + place.group);
      for (int i = 0; i < place.folds; ++i) {
        const auto from = static_cast<std::size_t>(place.depth - i);
        buffers.at(from - 1) = "(" + buffers.at(from - 1) + "+" + buffers.at(from) + ")";
        buffers.at(from) = "used";
      }
    }
    sums.push_back(buffers.front());
  }
  return sums;
}

/// As comm adds operands: neighbours, then pairs of pairs.
std::string tree(std::vector<std::string> leaves) {
  for (std::size_t stride = 1; stride < leaves.size(); stride *= 2) {
    for (std::size_t i = 0; i + stride < leaves.size(); i += 2 * stride) {
      leaves[i] = "(" + leaves[i] + "+" + leaves[i + stride] + ")";
    }
  }
  return leaves.front();
}

TEST(GradientGroups, OneRankMakesTheTreeOfItsGroups) {
  EXPECT_EQ(local_sums(1, 4, 2).front(), "((0+1)+(2+3))");
  EXPECT_EQ(local_sums(1, 6, 1).front(), "(((0+1)+(2+3))+(4+5))");
  EXPECT_EQ(local_sums(1, 7, 3).front(), "(((0+1)+(2+3))+((4+5)+6))");
}

TEST(GradientGroups, RanksThatHoldBranchesEndWithTheSameTree) {
  for (const int groups : {1, 2, 3, 4, 6, 8, 12, 16}) {
    const std::string expected = tree(local_sums(groups, groups, 2));
    for (int ranks = 1; ranks <= groups; ++ranks) {
      const int mine = groups / ranks;
      const bool branches = groups % ranks == 0 && (ranks == 1 || (mine & (mine - 1)) == 0);
      if (!branches) continue;
      EXPECT_EQ(tree(local_sums(ranks, groups, 2)), expected) << groups << " " << ranks;
    }
  }
  // Not a branch: the reason why two replicas of six groups are refused.
  EXPECT_NE(tree(local_sums(2, 6, 1)), tree(local_sums(6, 6, 1)));
}

TEST(GradientGroups, BuffersAreAsManyAsSumsThatWait) {
  EXPECT_EQ(GradientGroups().depth(), 1);
  EXPECT_EQ(GradientGroups(8, 1).depth(), 1);
  EXPECT_EQ(GradientGroups(8, 2).depth(), 2);
  EXPECT_EQ(GradientGroups(8, 4).depth(), 3);
  EXPECT_EQ(GradientGroups(8, 8).depth(), 4);
  EXPECT_EQ(GradientGroups(6, 3).depth(), 2);
}

TEST(GradientGroups, WithoutGroupsAllIsOneSum) {
  const GroupPlace place = GradientGroups().place(7);
  EXPECT_EQ(place.depth + place.folds + place.group, 0);
  EXPECT_FALSE(place.opens);
  EXPECT_FALSE(GradientGroups().grouped());
}

TEST(GradientGroups, UnevenGroupsAreABug) {
  EXPECT_THROW(GradientGroups(7, 2), Bug);
  EXPECT_THROW(GradientGroups(2, 4), Bug);
  EXPECT_THROW(GradientGroups(4, 2).place(4), Bug);
}

}  // namespace
}  // namespace concordat::model
