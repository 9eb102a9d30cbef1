// Files of data, models and checkpoints, and JSON as such.
#include <gtest/gtest.h>

#include "checkpoint/generations.hpp"
#include "checkpoint/manifest.hpp"
#include "concordat/core/config.hpp"
#include "concordat/core/json_value.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/crypto/sealed_file.hpp"
#include "concordat/data/manifest.hpp"
#include "concordat/model/huggingface.hpp"
#include "concordat/model/safetensors.hpp"
#include "data/shard_layout.hpp"
#include "support/faulty_files.hpp"
#include "support/fixed_random.hpp"
#include "support/hostile.hpp"
#include "support/temporary_folder.hpp"

namespace concordat::hostile {
namespace {

using testing_support::bytes_of;
using testing_support::expect_typed;

class HostileFiles : public ::testing::Test {
 protected:
  testing_support::TemporaryFolder folder;
  testing_support::FaultyFiles fast;  // no fault: it only leaves the syncs out
  testing_support::FixedRandom random{"files"};
  Bytes key = Bytes(32, 7);
};

TEST(HostileBytes, Json) {
  const std::string deep = std::string(40'000, '[') + std::string(40'000, ']');
  expect_typed({bytes_of(R"({"a": [1, -2, 3.5, true, null], "b": {"c": "\u00e4\n", "d": ""}})"),
                bytes_of(R"([[], {}, "x", 18446744073709551615, -9223372036854775808])")},
               [](ByteView bytes) { JsonValue::parse(to_string(bytes), "a.json"); },
               {.cases = 6000, .bytes_per_byte = 256});
  expect_typed({bytes_of(deep)},
               [](ByteView bytes) { JsonValue::parse(to_string(bytes), "a.json"); },
               {.cases = 50, .bytes_per_byte = 256, .seeds_decode = false});
}

TEST_F(HostileFiles, Configuration) {
  ConfigSchema schema;
  schema.section("run", "a run")
      .integer("run.rounds", 3, {1, 100}, "rounds")
      .real("run.rate", 0.5, {0.0, 1.0}, "rate")
      .boolean("run.fast", false, "fast")
      .text("run.name", "demo", {}, "name")
      .list("run.data", std::vector<std::string>{}, "data");
  const auto path = folder.path() / "a.toml";
  expect_typed({bytes_of("[run]\nrounds = 7\nrate = 1e-3\nfast = true\nname = \"x\"\n"
                         "data = [\"a\", \"b\"]\n")},
               [&](ByteView bytes) {
                 testing_support::overwrite(path, bytes);
                 const Config config = Config::load(schema, path, {});
                 EXPECT_GE(config.integer("run.rounds"), 1);
                 EXPECT_LE(config.real("run.rate"), 1.0);
               },
               {.cases = 1500, .bytes_per_byte = 1024});
}

TEST(HostileBytes, ManifestsOfCheckpoints) {
  checkpoint::Manifest manifest{.position = {120, 3},
                                .metadata = {{"layout", "dp 2"}, {"rng.seed", "7"}}};
  manifest.datasets.push_back({"weights/a", {4, 8}, Dtype::f32, 2048, {}});
  manifest.datasets.push_back({"moments/a.m", {}, Dtype::f32, 4096, {}});
  manifest.file_bytes = 8192;
  expect_typed({bytes_of(checkpoint::encode_manifest(manifest))},
               [](ByteView bytes) { checkpoint::decode_manifest(to_string(bytes), "m.json"); },
               {.cases = 4000, .bytes_per_byte = 512});
  for (const char* name : {"step-", "step-1.", "step-99999999999999999999", "step--1", "step-1.0",
                           "step-000001/..", "step-1.99999999999999999999", ".new-step-1"}) {
    EXPECT_NO_THROW(checkpoint::parse_generation(name)) << name;
  }
}

// The MAC stops every edit; what stands behind it is met with a MAC that is right again.
TEST_F(HostileFiles, ManifestsOfDatasets) {
  data::DatasetManifest manifest;
  manifest.name = "notes";
  manifest.num_documents = 12;
  manifest.shards.push_back({{"notes", data::Split::train, 0}, 10, 400, {}});
  manifest.shards.push_back({{"notes", data::Split::validation, 0}, 2, 40, {}});
  data::save_manifest(fast, folder.path(), manifest, key);
  const auto path = folder.path() / "dataset";
  const auto load = [&](ByteView bytes) {
    testing_support::overwrite(path, bytes);
    data::load_manifest(fast, folder.path(), key);
  };
  const Bytes seed = read_file(fast, path);
  const auto count = expect_typed({seed}, load, {.cases = 1000});
  EXPECT_LT(count.values, 30);
  const auto mac = crypto::hkdf_sha256(key, {}, as_bytes("concordat/dataset/v1/mac"), 32);
  const std::string plain = manifest.text();
  manifest.vocabulary = {std::string(data::Vocabulary::bpe), 420, 0, crypto::sha256(key)};
  expect_typed({bytes_of(plain), bytes_of(manifest.text())},
               [&](ByteView bytes) {
                 const std::string end =
                     "mac: " + crypto::hmac_sha256(mac.view(), bytes).hex() + "\n";
                 load(as_bytes(to_string(bytes) + end));
               },
               {.cases = 3000});
}

// A shard whose seal is right and whose inside is not: written by a broken or hostile ingest.
TEST_F(HostileFiles, InsidesOfShards) {
  const data::ShardId id{"notes", data::Split::train, 0};
  data::ShardWriter writer(fast, folder.path(), id, key, random);
  for (data::Token i = 1; i < 5; ++i) writer.add(std::vector<data::Token>(20, i), {});
  writer.finish();
  const auto path = folder.path() / id.file_name();
  crypto::SealedFileReader reader(fast, path, key, data::purpose_of(id));
  Bytes seed(reader.size());
  reader.read_at(0, seed);
  expect_typed({seed},
               [&](ByteView bytes) {
                 fast.remove(path);
                 crypto::SealedFileWriter sealed(fast, path, key, data::purpose_of(id), random);
                 sealed.write(bytes);
                 sealed.finish();
                 data::ShardReader shard(fast, folder.path(), id, key);
                 std::vector<data::Token> tokens(shard.num_tokens());
                 shard.read(0, tokens);
                 for (std::uint64_t i = 0; i < shard.num_documents(); ++i) {
                   const auto document = shard.document(i);
                   EXPECT_LE(document.begin + document.size, shard.num_tokens());
                 }
                 for (data::Token token : tokens) {
                   EXPECT_TRUE(token >= 0 && token <= data::separator_token) << token;
                 }
               },
               {.cases = 1500, .bytes_per_byte = 256});
}

TEST(HostileBytes, HeadersOfSafetensors) {
  const model::SafetensorsHeader header{
      {{"a.weight", "F32", {4, 8}, 0, 128}, {"b", "BF16", {3}, 128, 134}}, {{"format", "pt"}}};
  expect_typed({bytes_of(model::safetensors_header_text(header))},
               [](ByteView bytes) {
                 const auto found =
                     model::parse_safetensors_header(to_string(bytes), 134, "model.safetensors");
                 for (const auto& tensor : found.tensors) EXPECT_LE(tensor.end, 134U);
               },
               {.cases = 4000, .bytes_per_byte = 512});
}

TEST_F(HostileFiles, Safetensors) {
  const auto path = folder.path() / "model.safetensors";
  {
    model::SafetensorsWriter writer(fast, path, {{"a", {4, 8}}, {"b", {3}}}, Dtype::f32);
    writer.write(0, 0, std::vector<float>(32, 1.0F));
    writer.write(1, 0, std::vector<float>(3, 2.0F));
    writer.finish();
  }
  const Bytes seed = read_file(fast, path);
  expect_typed({seed},
               [&](ByteView bytes) {
                 testing_support::overwrite(path, bytes);
                 model::SafetensorsReader reader(fast, path);
                 for (const auto& tensor : reader.header().tensors) {
                   std::vector<float> values(static_cast<std::size_t>(tensor.count()));
                   reader.read(tensor, 0, values);
                 }
               },
               {.cases = 2000, .bytes_per_byte = 512});
}

TEST(HostileBytes, ConfigurationsOfForeignModels) {
  model::HuggingFaceModel wanted;
  wanted.config = {.vocab = 300, .width = 64, .layers = 2, .heads = 4, .kv_heads = 2, .ffn = 96};
  wanted.max_length = 128;
  model::HuggingFaceModel other = wanted;
  other.config = {.family = model::Family::gpt2,
                  .vocab = 300,
                  .width = 64,
                  .layers = 2,
                  .heads = 4,
                  .kv_heads = 4,
                  .ffn = 256,
                  .positions = 128,
                  .tied = true};
  expect_typed(
      {bytes_of(model::huggingface_config(wanted)), bytes_of(model::huggingface_config(other))},
      [](ByteView bytes) { model::read_huggingface_config(to_string(bytes), "c.json"); },
      {.cases = 4000, .bytes_per_byte = 512});
}

}  // namespace
}  // namespace concordat::hostile
