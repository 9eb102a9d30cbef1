// All inclusion and consistency vectors of transparency-dev/merkle (417fb0c, Apache-2.0), good and
// damaged, from CONCORDAT_VECTORS or ../shared/vectors beside the source tree.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "concordat/crypto/merkle.hpp"
#include "concordat/ledger/verify.hpp"
#include "support/vectors.hpp"

namespace concordat::ledger {
namespace {

/// nullopt for a value that is no digest: no verifier of ours can even be asked.
std::optional<Digest> digest(const nlohmann::json& value) {
  try {
    return digest_from(from_base64(value.get<std::string>(), "vector"), "vector");
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<std::vector<Digest>> path(const nlohmann::json& proof) {
  std::vector<Digest> digests;
  if (proof.is_null()) return digests;
  for (const auto& part : proof) {
    const auto one = digest(part);
    if (!one) return std::nullopt;
    digests.push_back(*one);
  }
  return digests;
}

/// Some vectors write any text where the answer hangs only on two roots being equal or not: such a
/// root is represented by a digest of the text.
Digest root(const nlohmann::json& value) {
  const Bytes bytes = from_base64(value.get<std::string>(), "vector");
  return bytes.size() == 32 ? digest_from(bytes, "vector") : crypto::merkle_leaf(bytes);
}

template <typename Check>
int for_each_vector(const std::filesystem::path& folder, Check check) {
  int count = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(folder)) {
    if (file.path().extension() != ".json") continue;
    std::ifstream in(file.path());
    const auto vector = nlohmann::json::parse(in);
    EXPECT_EQ(check(vector), !vector.at("wantErr").get<bool>()) << file.path();
    ++count;
  }
  return count;
}

TEST(MerkleVectors, inclusion) {
  CONCORDAT_NEED_VECTORS(vectors);
  const int count = for_each_vector(vectors / "merkle" / "inclusion", [](const nlohmann::json& v) {
    const auto proof = path(v.at("proof"));
    const auto leaf = digest(v.at("leafHash"));
    return proof && leaf &&
           crypto::verify_inclusion(*leaf, v.at("leafIdx").get<std::uint64_t>(),
                                    v.at("treeSize").get<std::uint64_t>(), *proof,
                                    root(v.at("root")));
  });
  EXPECT_EQ(count, 98);
}

TEST(MerkleVectors, consistency) {
  CONCORDAT_NEED_VECTORS(vectors);
  const int count =
      for_each_vector(vectors / "merkle" / "consistency", [](const nlohmann::json& v) {
        const auto proof = path(v.at("proof"));
        return proof &&
               verify_growth({v.at("size1").get<std::uint64_t>(), root(v.at("root1"))},
                             {v.at("size2").get<std::uint64_t>(), root(v.at("root2"))}, *proof);
      });
  EXPECT_EQ(count, 98);
}

}  // namespace
}  // namespace concordat::ledger
