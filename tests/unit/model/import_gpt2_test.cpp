// Hugging Face folders of gpt2: fused and transposed tensors, names with and without a prefix,
// masks, and what config.json may ask for.
#include "concordat/model/errors.hpp"
#include "foreign_folder.hpp"
#include "support/expect_error.hpp"

namespace concordat::model::test {
namespace {

using testing_support::overwrite;
using testing_support::TemporaryFolder;

ModelConfig tied_gpt2() {
  ModelConfig config = tiny_config(Family::gpt2);
  config.tied = true;
  return config;
}

class ImportGpt2 : public ::testing::Test {
 protected:
  ImportGpt2() { write_folder(folder_.path(), config_, values_); }
  ForeignModel open() { return {posix_files(), folder_.path()}; }
  void write_config(std::string_view from, std::string_view to) {
    std::string text = huggingface_config({.config = config_, .max_length = 9});
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    overwrite(folder_.path() / "config.json", as_bytes(text.replace(at, from.size(), to)));
  }
  /// The file again, with other names or more tensors (zeros) in it.
  void rewrite(const std::function<std::string(const std::string&)>& renamed,
               const std::vector<SafetensorsWriter::Planned>& more = {}) {
    const auto specs = declare_parameters(config_);
    const auto groups = foreign_groups(config_, specs);
    std::vector<SafetensorsWriter::Planned> planned;
    for (const auto& group : groups) {
      planned.push_back({renamed(group.whole.name), group.whole.shape});
    }
    planned.insert(planned.end(), more.begin(), more.end());
    posix_files().remove(folder_.path() / single_weights_name);
    SafetensorsWriter out(posix_files(), folder_.path() / single_weights_name, planned, Dtype::f32);
    for (std::size_t i = 0; i < groups.size(); ++i) {
      write_group(out, i, config_, specs, groups[i],
                  [&](std::size_t index, std::int64_t first, std::span<float> to) {
                    std::copy_n(values_.at(specs[index].name).begin() + first, to.size(),
                                to.begin());
                  });
    }
    for (std::size_t i = 0; i < more.size(); ++i) {
      const std::vector<float> zeros(static_cast<std::size_t>(num_elements(more[i].shape)), 0.0F);
      out.write(groups.size() + i, 0, zeros);
    }
    out.finish();
  }
  void expect_values() {
    ForeignModel model = open();
    const auto specs = declare_parameters(model.model().config);
    model.check_tensors(specs);
    const parallel::CanonicalSpace space(specs);
    std::vector<float> whole(static_cast<std::size_t>(space.num_elements()));
    model.read_range(specs, space, 0, whole);
    for (const auto& tensor : space.tensors()) {
      const auto& expected = values_.at(tensor.name);
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), whole.begin() + tensor.begin))
          << tensor.name;
    }
  }

  ModelConfig config_ = tied_gpt2();
  ByName values_ = random_weights(declare_parameters(tied_gpt2()), 7);
  TemporaryFolder folder_;
};

TEST_F(ImportGpt2, ConfigComesBackAsItWasWritten) {
  ModelConfig config = tied_gpt2();
  config.norm_eps = 1e-6F;
  config.tied = false;
  const auto found = read_huggingface_config(
      huggingface_config({.config = config, .max_length = 9, .separator = 10}), "config.json");
  EXPECT_EQ(found.config, config);
  EXPECT_EQ(found.max_length, 9);
  EXPECT_EQ(found.dropout, 0.0F);
  require_same_model(config, found.config, "config.json");
  ModelConfig other = config;
  other.positions = 10;
  EXPECT_ERROR_SAYS(require_same_model(config, other, "config.json"), errors::bad_import,
                    "n_positions");
  EXPECT_ERROR_SAYS(require_same_model(tiny_config(), config, "config.json"), errors::bad_import,
                    "model_type");
  EXPECT_NE(model_section(config).find("family = \"gpt2\""), std::string::npos);
  EXPECT_NE(model_section(config).find("positions = 9"), std::string::npos);
  EXPECT_EQ(model_section(config).find("rope_base"), std::string::npos);
}

TEST_F(ImportGpt2, AbsentKeysHaveTheFormatsDefaults) {
  const auto found = read_huggingface_config(R"({"model_type":"gpt2"})", "config.json");
  EXPECT_EQ(found.config.num_parameters(), 124439808);
  EXPECT_EQ(found.config.ffn, 3072);
  EXPECT_TRUE(found.config.tied);
  EXPECT_EQ(found.max_length, 1024);
  EXPECT_FLOAT_EQ(found.dropout, 0.1F);
}

// The file's columns are query, key and value, head by head: written out by hand.
TEST_F(ImportGpt2, TheJointMatrixIsThreeOfOursTurnedRound) {
  ForeignModel model = open();
  const SafetensorsEntry* joint = model.weights().find("transformer.h.0.attn.c_attn.weight");
  ASSERT_NE(joint, nullptr);
  EXPECT_EQ(joint->shape, (Shape{8, 24}));
  SafetensorsReader file(posix_files(), folder_.path() / single_weights_name);
  std::vector<float> theirs(8 * 24);
  file.read(*joint, 0, theirs);
  const auto& key = values_.at("transformer.h.0.attn.k_proj.weight");
  for (std::size_t in = 0; in < 8; ++in) {
    for (std::size_t out = 0; out < 8; ++out) {
      ASSERT_EQ(theirs[in * 24 + 8 + out], key[out * 8 + in]);
    }
  }
  std::vector<float> bias(24);
  file.read(*file.find("transformer.h.1.attn.c_attn.bias"), 0, bias);
  const auto& value = values_.at("transformer.h.1.attn.v_proj.bias");
  EXPECT_TRUE(std::equal(value.begin(), value.end(), bias.begin() + 16));
  expect_values();
}

// GPT-2's own folders: no prefix, and the attention's masks among the weights.
TEST_F(ImportGpt2, NamesMayLackThePrefixAndMasksArePassedOver) {
  const auto bare = [](const std::string& name) { return name.substr(gpt2_prefix.size()); };
  rewrite(bare, {{"h.0.attn.bias", {1, 1, 9, 9}},
                 {"h.1.attn.bias", {1, 1, 9, 9}},
                 {"h.0.attn.masked_bias", {}}});
  expect_values();
  const auto same = [](const std::string& name) { return name; };
  rewrite(same, {{"transformer.h.0.attn.bias", {1, 1, 9, 9}}});
  expect_values();
  rewrite(same, {{"transformer.h.0.attn.extra", {3}}});
  EXPECT_ERROR_SAYS(expect_values(), errors::bad_import, "transformer.h.0.attn.extra");
  // Half of the names with a prefix: what is bare decides, and the rest is missing.
  rewrite([&](const std::string& name) {
    return name.find(".wte.") != std::string::npos ? bare(name) : name;
  });
  EXPECT_ERROR_SAYS(expect_values(), errors::bad_import, "wpe.weight");
}

TEST_F(ImportGpt2, AHeadOfItsOwnMustBeTheTableUnlessTheFileSaysOtherwise) {
  const auto same = [](const std::string& name) { return name; };
  rewrite(same, {{"lm_head.weight", {11, 8}}});  // zeros
  EXPECT_ERROR_SAYS(expect_values(), errors::bad_import, "lm_head.weight");
  config_.tied = false;
  values_["lm_head.weight"] = random_values(11 * 8, 3);
  write_folder(folder_.path(), config_, values_);
  expect_values();
  values_["lm_head.weight"] = values_["transformer.wte.weight"];
  write_folder(folder_.path(), config_, values_);
  config_.tied = true;
  write_config("\"use_cache\": true", "\"use_cache\": true");
  expect_values();
}

TEST_F(ImportGpt2, RefusesWhatIsNotComputedAndNamesTheKey) {
  const struct {
    const char* key;
    const char* from;
    const char* to;
  } cases[] = {
      {"activation_function", "\"gelu_new\"", "\"gelu\""},
      {"activation_function", "\"gelu_new\"", "\"relu\""},
      {"scale_attn_weights", "\"scale_attn_weights\": true", "\"scale_attn_weights\": false"},
      {"scale_attn_by_inverse_layer_idx", "\"scale_attn_by_inverse_layer_idx\": false",
       "\"scale_attn_by_inverse_layer_idx\": true"},
      {"add_cross_attention", "\"use_cache\": true", "\"add_cross_attention\": true"},
      {"n_ctx", "\"use_cache\": true", "\"n_ctx\": 8"},
      {"resid_pdrop", "\"resid_pdrop\": 0.0", "\"resid_pdrop\": 1.0"},
      {"attn_pdrop", "\"attn_pdrop\": 0.0", "\"attn_pdrop\": -0.1"},
      {"n_embd", "\"n_embd\": 8", "\"n_embd\": 0"},
      {"hidden_size", "\"use_cache\": true", "\"hidden_size\": 8"},
      {"rope_theta", "\"use_cache\": true", "\"rope_theta\": 10000.0"},
      {"quantization_config", "\"use_cache\": true", "\"quantization_config\": {}"},
  };
  for (const auto& test : cases) {
    SCOPED_TRACE(test.to);
    write_config(test.from, test.to);
    EXPECT_ERROR_SAYS(open(), errors::unsupported, std::string("config.json: ") + test.key);
  }
  for (const char* same : {"\"n_ctx\": 9", "\"summary_type\": \"cls_index\"", "\"n_special\": 0"}) {
    write_config("\"use_cache\": true", same);
    EXPECT_EQ(open().model().config, config_) << same;
  }
  write_config("\"reorder_and_upcast_attn\": false", "\"reorder_and_upcast_attn\": true");
  EXPECT_EQ(open().model().config, config_);
  write_config("\"gelu_new\"", "\"gelu_pytorch_tanh\"");
  expect_values();
  write_config("\"n_head\": 4", "\"n_head\": 3");
  EXPECT_ERROR(open(), errors::bad_config);
  write_config("\"resid_pdrop\": 0.0", "\"resid_pdrop\": 0.25");
  EXPECT_EQ(open().model().dropout, 0.25F);
}

TEST_F(ImportGpt2, RefusesTensorsThatDoNotMatchTheConfig) {
  const auto check = [&](const char* from, const char* to, const std::string& text) {
    SCOPED_TRACE(to);
    write_config(from, to);
    EXPECT_ERROR_SAYS(expect_values(), errors::bad_import, text);
  };
  check("\"n_layer\": 2", "\"n_layer\": 3", "transformer.h.2.ln_1.weight");
  check("\"n_layer\": 2", "\"n_layer\": 1", "transformer.h.1.");
  check("\"n_inner\": 12", "\"n_inner\": 16", "[8,16]");
  check("\"n_inner\": 12", "\"n_inner\": null", "[8,32]");
  check("\"n_positions\": 9", "\"n_positions\": 10", "transformer.wpe.weight");
  check("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false", "lm_head.weight");
  // A matrix the other way round has the same elements; only its shape tells.
  const auto same = [](const std::string& name) { return name; };
  write_config("\"use_cache\": true", "\"use_cache\": true");
  rewrite([](const std::string& name) {
    if (name == "transformer.h.0.mlp.c_fc.weight")
      return std::string("transformer.h.0.mlp.c_proj.weight");
    if (name == "transformer.h.0.mlp.c_proj.weight")
      return std::string("transformer.h.0.mlp.c_fc.weight");
    return name;
  });
  EXPECT_ERROR_SAYS(expect_values(), errors::bad_import, "transformer.h.0.mlp.c_fc.weight");
  rewrite(same);
  expect_values();
}

TEST_F(ImportGpt2, ShardsOfEveryLayoutAreTheFilesElements) {
  for (const parallel::MeshShape mesh :
       {parallel::MeshShape{.tp = 2}, {.tp = 4}, {.dp = 3}, {.pp = 2, .tp = 2}}) {
    const auto specs = declare_parameters(config_, {.stages = mesh.pp});
    const parallel::CanonicalSpace space(specs);
    for (int rank = 0; rank < mesh.size(); ++rank) {
      const auto coords = parallel::coords_of(mesh, rank);
      const auto layout = parallel::layout_of(specs, space, mesh, coords);
      std::vector<float> master(static_cast<std::size_t>(layout.num_local), 5.0F);
      open().read_shards(specs, mesh, coords, master);
      std::int64_t real = 0;
      for (const auto& segment : layout.held) {
        for (std::int64_t i = 0; i < segment.count; ++i) {
          for (std::int64_t j = 0; j < segment.run; ++j) {
            const std::int64_t index = segment.begin + i * segment.stride + j;
            const auto& tensor = space.tensor_at(index);
            ++real;
            ASSERT_EQ(master[static_cast<std::size_t>(segment.local_begin +
                                                      i * segment.local_stride + j)],
                      values_.at(tensor.name)[static_cast<std::size_t>(index - tensor.begin)])
                << tensor.name;
          }
        }
      }
      EXPECT_EQ(std::count(master.begin(), master.end(), 0.0F), layout.num_local - real);
    }
  }
}

// A weight that is no number is seen by the ranks that hold it and by no other: nobody reads more,
// though the file has the matrix the other way round.
TEST_F(ImportGpt2, ARankReadsItsOwnSegmentsAlone) {
  for (const char* name : {"attn.v_proj.weight", "attn.c_proj.weight", "mlp.c_fc.weight"}) {
    ByName values = values_;
    values.at("transformer.h.1." + std::string(name)).back() = NAN;  // last row, last column
    write_folder(folder_.path(), config_, values);
    const auto specs = declare_parameters(config_, {.stages = 2});
    const parallel::MeshShape mesh{.pp = 2, .tp = 2};
    for (int rank = 0; rank < 4; ++rank) {
      const auto coords = parallel::coords_of(mesh, rank);
      const auto layout = parallel::layout_of(specs, parallel::CanonicalSpace(specs), mesh, coords);
      std::vector<float> master(static_cast<std::size_t>(layout.num_local));
      if (coords.tp == 1 && coords.pp == 1) {
        EXPECT_ERROR_SAYS(open().read_shards(specs, mesh, coords, master), errors::bad_weights,
                          "transformer.h.1.");
      } else {
        open().read_shards(specs, mesh, coords, master);
      }
    }
  }
}

TEST_F(ImportGpt2, RangesBeginAndEndAnywhere) {
  ForeignModel model = open();
  const auto specs = declare_parameters(config_);
  const parallel::CanonicalSpace space(specs);
  std::vector<float> whole(static_cast<std::size_t>(space.num_elements()));
  model.read_shards(specs, {}, {}, whole);
  for (const std::int64_t size : {1, 7, 50, 333}) {
    std::vector<float> part(static_cast<std::size_t>(size));
    for (std::int64_t at = 0; at + size <= space.num_elements(); at += size) {
      model.read_range(specs, space, at, part);
      ASSERT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + at)) << at;
    }
  }
}

}  // namespace
}  // namespace concordat::model::test
