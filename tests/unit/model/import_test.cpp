// Import of Hugging Face folders: what is read, by whom, and what is refused.
#include <cstring>

#include "concordat/model/errors.hpp"
#include "foreign_folder.hpp"
#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"

namespace concordat::model {
namespace {

using test::ByName;
using test::write_folder;
using testing_support::overwrite;
using testing_support::TemporaryFolder;

ByName tiny_values() { return test::random_weights(declare_parameters(test::tiny_config()), 7); }

class Import : public ::testing::Test {
 protected:
  Import() { write_folder(folder_.path(), test::tiny_config(), values_); }
  ForeignModel open() { return {posix_files(), folder_.path()}; }
  void write_config(std::string_view from, std::string_view to) {
    std::string text = huggingface_config({.config = test::tiny_config(), .max_length = 64});
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    overwrite(folder_.path() / "config.json", as_bytes(text.replace(at, from.size(), to)));
  }
  ByName values_ = tiny_values();
  TemporaryFolder folder_;
};

TEST_F(Import, ConfigComesBackAsItWasWritten) {
  ModelConfig config = test::tiny_config();
  config.rope_base = 500000.0F;
  config.norm_eps = 1e-6F;
  config.tied = true;
  const auto found = read_huggingface_config(
      huggingface_config({.config = config, .max_length = 131072, .separator = 256}),
      "config.json");
  EXPECT_EQ(found.config, config);
  EXPECT_EQ(found.max_length, 131072);
  require_same_model(config, found.config, "config.json");
  ModelConfig other = config;
  other.norm_eps = 1e-5F;
  EXPECT_ERROR_SAYS(require_same_model(config, other, "config.json"), errors::bad_import,
                    "rms_norm_eps");
}

TEST_F(Import, AbsentKeysHaveTheFormatsDefaults) {
  const auto found = read_huggingface_config(
      R"({"model_type":"llama","vocab_size":10,"hidden_size":8,"num_hidden_layers":1,)"
      R"("num_attention_heads":2,"intermediate_size":12,"rope_scaling":null})",
      "config.json");
  EXPECT_EQ(found.config.kv_heads, 2);
  EXPECT_EQ(found.config.rope_base, 10000.0F);
  EXPECT_EQ(found.config.norm_eps, 1e-6F);
  EXPECT_FALSE(found.config.tied);
  EXPECT_EQ(found.max_length, 2048);
  const auto newer = read_huggingface_config(
      R"({"model_type":"llama","vocab_size":10,"hidden_size":8,"num_hidden_layers":1,)"
      R"("num_attention_heads":2,"intermediate_size":12,)"
      R"("rope_parameters":{"rope_theta":500000.0,"rope_type":"default"}})",
      "config.json");
  EXPECT_EQ(newer.config.rope_base, 500000.0F);
}

TEST_F(Import, RefusesWhatIsNotComputedAndNamesTheKey) {
  const struct {
    const char* key;
    const char* from;
    const char* to;
  } cases[] = {
      {"rope_scaling", "\"use_cache\": true",
       R"("rope_scaling": {"rope_type": "llama3", "factor": 8.0})"},
      {"rope_scaling.factor", "\"use_cache\": true", R"("rope_scaling": {"factor": 8.0})"},
      {"attention_bias", "\"attention_bias\": false", "\"attention_bias\": true"},
      {"mlp_bias", "\"mlp_bias\": false", "\"mlp_bias\": true"},
      {"hidden_act", "\"silu\"", "\"gelu\""},
      {"sliding_window", "\"use_cache\": true", "\"sliding_window\": 4096"},
      {"model_type", "\"model_type\": \"llama\"", "\"model_type\": \"mistral\""},
      {"head_dim", "\"head_dim\": 2", "\"head_dim\": 4"},
      {"attention_dropout", "\"attention_dropout\": 0.0", "\"attention_dropout\": 0.1"},
      {"pretraining_tp", "\"use_cache\": true", "\"pretraining_tp\": 2"},
      {"hidden_size", "\"hidden_size\": 8", "\"hidden_size\": 0"},
      {"vocab_size", "\"vocab_size\": 11", "\"vocab_size\": 4294967296"},
      {"quantization_config", "\"use_cache\": true", "\"quantization_config\": {}"},
  };
  for (const auto& test : cases) {
    SCOPED_TRACE(test.key);
    write_config(test.from, test.to);
    EXPECT_ERROR_SAYS(open(), errors::unsupported, std::string("config.json: ") + test.key);
  }
  write_config("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3");
  EXPECT_ERROR(open(), errors::bad_config);
  write_config("\"hidden_size\": 8", "\"hidden_size\": \"8\"");
  EXPECT_ERROR_SAYS(open(), concordat::errors::malformed, "hidden_size");
}

TEST_F(Import, RefusesTensorsThatDoNotMatchTheConfig) {
  const auto check = [&](const std::string& text) {
    ForeignModel model = open();
    EXPECT_ERROR_SAYS(model.check_tensors(declare_parameters(model.model().config)),
                      errors::bad_import, text);
  };
  open().check_tensors(declare_parameters(test::tiny_config()));
  write_config("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
  check("model.layers.2.input_layernorm.weight");
  write_config("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
  check("model.layers.1.");
  write_config("\"intermediate_size\": 12", "\"intermediate_size\": 16");
  check("mlp.gate_proj.weight");
  write_config("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true");
  check("lm_head.weight");
}

TEST_F(Import, ATiedHeadThatEqualsTheTableIsTaken) {
  values_["lm_head.weight"] = values_["model.embed_tokens.weight"];
  write_folder(folder_.path(), test::tiny_config(), values_);
  write_config("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true");
  ForeignModel model = open();
  const auto specs = declare_parameters(model.model().config);
  model.check_tensors(specs);
  EXPECT_EQ(specs.size() + 1, model.weights().names().size());
}

// What ranks of any layout read, put together, is the file; padding stays zero.
TEST_F(Import, ShardsOfEveryLayoutAreTheFilesElements) {
  for (const parallel::MeshShape mesh :
       {parallel::MeshShape{.tp = 1}, {.tp = 2}, {.dp = 3}, {.pp = 2, .tp = 2}}) {
    const auto specs = declare_parameters(test::tiny_config(), {.stages = mesh.pp});
    for (int rank = 0; rank < mesh.size(); ++rank) {
      const auto coords = parallel::coords_of(mesh, rank);
      const parallel::CanonicalSpace space(specs);
      const auto layout = parallel::layout_of(specs, space, mesh, coords);
      std::vector<float> master(static_cast<std::size_t>(layout.num_local), 5.0F);
      open().read_shards(specs, mesh, coords, master);
      std::vector<bool> real(master.size(), false);
      for (const auto& segment : layout.held) {
        for (std::int64_t i = 0; i < segment.count; ++i) {
          for (std::int64_t j = 0; j < segment.run; ++j) {
            const auto local =
                static_cast<std::size_t>(segment.local_begin + i * segment.local_stride + j);
            const std::int64_t index = segment.begin + i * segment.stride + j;
            const auto& tensor = space.tensor_at(index);
            real[local] = true;
            ASSERT_EQ(master[local],
                      values_.at(tensor.name)[static_cast<std::size_t>(index - tensor.begin)]);
          }
        }
      }
      for (std::size_t i = 0; i < master.size(); ++i) {
        if (!real[i]) {
          ASSERT_EQ(master[i], 0.0F);
        }
      }
    }
  }
}

// A weight that is no number is seen by the ranks that hold it and by no other: nobody reads more.
TEST_F(Import, ARankReadsItsOwnSegmentsAlone) {
  for (const char* name : {"self_attn.q_proj.weight", "self_attn.o_proj.weight"}) {
    ByName values = values_;
    values.at("model.layers.1." + std::string(name)).back() = NAN;  // last row, last column
    write_folder(folder_.path(), test::tiny_config(), values);
    const auto specs = declare_parameters(test::tiny_config(), {.stages = 2});
    const parallel::MeshShape mesh{.pp = 2, .tp = 2};
    for (int rank = 0; rank < 4; ++rank) {
      const auto coords = parallel::coords_of(mesh, rank);
      const auto layout = parallel::layout_of(specs, parallel::CanonicalSpace(specs), mesh, coords);
      std::vector<float> master(static_cast<std::size_t>(layout.num_local));
      if (coords.tp == 1 && coords.pp == 1) {
        EXPECT_ERROR_SAYS(open().read_shards(specs, mesh, coords, master), errors::bad_weights,
                          name);
      } else {
        open().read_shards(specs, mesh, coords, master);
      }
    }
  }
}

TEST_F(Import, RangesCrossTensors) {
  const auto specs = declare_parameters(test::tiny_config());
  const parallel::CanonicalSpace space(specs);
  std::vector<float> whole(static_cast<std::size_t>(space.num_elements()));
  open().read_shards(specs, {}, {}, whole);
  std::vector<float> part(200);
  open().read_range(specs, space, 50, part);
  EXPECT_EQ(std::memcmp(part.data(), whole.data() + 50, 200 * 4), 0);
}

}  // namespace
}  // namespace concordat::model
