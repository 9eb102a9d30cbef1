// Exact values of RFC 6962 trees over the eight Certificate Transparency test leaves, as
// transparency-dev/merkle (417fb0c) prints them; recomputed with an independent program.
#include <gtest/gtest.h>

#include <array>
#include <span>
#include <string>
#include <vector>

#include "concordat/crypto/merkle.hpp"

namespace concordat::crypto {
namespace {

constexpr std::array leaves_hex = {"",
                                   "00",
                                   "10",
                                   "2021",
                                   "3031",
                                   "40414243",
                                   "5051525354555657",
                                   "606162636465666768696a6b6c6d6e6f"};
constexpr std::array roots_hex = {
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
constexpr const char* node_5f08 =
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
constexpr const char* node_6b47 =
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";
constexpr const char* node_96a2 =
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
constexpr const char* node_bc1a =
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
constexpr const char* node_ca85 =
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
constexpr const char* node_0ebc =
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";

std::vector<Digest> leaves(std::size_t count) {
  std::vector<Digest> digests;
  for (std::size_t i = 0; i < count; ++i) {
    digests.push_back(merkle_leaf(from_hex(leaves_hex[i], "leaf")));
  }
  return digests;
}

std::vector<std::string> hex(const std::vector<Digest>& path) {
  std::vector<std::string> text;
  for (const Digest& digest : path) text.push_back(digest.hex());
  return text;
}

using Path = std::vector<std::string>;

TEST(Rfc6962, leaf_and_node_are_domain_separated) {
  EXPECT_EQ(merkle_empty_root().hex(), roots_hex[0]);
  EXPECT_EQ(merkle_leaf({}).hex(), roots_hex[1]);
  EXPECT_EQ(merkle_leaf(as_bytes("L123456")).hex(),
            "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56");
}

TEST(Rfc6962, roots_of_the_first_eight_trees) {
  MerkleBuilder builder;
  for (std::size_t n = 0; n <= 8; ++n) {
    EXPECT_EQ(merkle_root(leaves(n)).hex(), roots_hex[n]) << n;
    EXPECT_EQ(builder.root().hex(), roots_hex[n]) << n;
    if (n < 8) builder.add(leaves(8)[n]);
  }
}

TEST(Rfc6962, inclusion_paths) {
  EXPECT_EQ(hex(inclusion_path(leaves(8), 0)), (Path{node_96a2, node_5f08, node_6b47}));
  EXPECT_EQ(hex(inclusion_path(leaves(8), 5)), (Path{node_bc1a, node_ca85, roots_hex[4]}));
  EXPECT_EQ(hex(inclusion_path(leaves(3), 2)), (Path{roots_hex[2]}));
  EXPECT_EQ(hex(inclusion_path(leaves(5), 1)), (Path{roots_hex[1], node_5f08, node_bc1a}));
}

TEST(Rfc6962, consistency_paths) {
  EXPECT_EQ(hex(consistency_path(leaves(8), 1)), (Path{node_96a2, node_5f08, node_6b47}));
  EXPECT_EQ(hex(consistency_path(leaves(8), 6)), (Path{node_0ebc, node_ca85, roots_hex[4]}));
  EXPECT_EQ(hex(consistency_path(leaves(5), 2)), (Path{node_5f08, node_bc1a}));
}

}  // namespace
}  // namespace concordat::crypto
