// The schema refuses what the agreement would refuse later, with the key and its line.
#include "cli/schema.hpp"

#include <gtest/gtest.h>

#include "support/expect_error.hpp"

namespace concordat::cli {
namespace {

Config with(const std::string& flag) { return Config::load(federation_schema(), "", {flag}); }

TEST(Schema, IsNoWiderThanTheAgreement) {
  for (const char* wrong :
       {"exchange.block_log2=9", "exchange.block_log2=21", "exchange.colluding=0",
        "exchange.colluding=1023", "exchange.minimum=2", "exchange.spread=65", "run.rounds=0",
        "run.rounds=1000001", "run.inner_steps=0", "run.inner_steps=1000001"}) {
    const std::string flag = std::string("--") + wrong;
    const std::string key = std::string(wrong).substr(0, std::string(wrong).find('='));
    EXPECT_ERROR_SAYS(with(flag), errors::config_bad_value, key);
  }
  for (const char* right : {"exchange.block_log2=10", "exchange.block_log2=20",
                            "exchange.colluding=1", "exchange.colluding=1022", "exchange.spread=64",
                            "run.rounds=1000000", "run.inner_steps=1000000"}) {
    EXPECT_NO_THROW(with(std::string("--") + right)) << right;
  }
}

TEST(Schema, EveryKeyIsExplained) {
  const ConfigSchema schema = site_schema();
  const std::string help = schema.help();
  for (const auto& key : schema.keys()) {
    EXPECT_NE(help.find("--" + key.name + " = "), std::string::npos) << key.name;
    EXPECT_FALSE(key.help.empty()) << key.name;
  }
}

std::vector<std::string> agreed_model_keys(const std::vector<std::string>& flags) {
  std::vector<std::string> keys;
  for (const auto& [key, value] :
       agreement_from(Config::load(federation_schema(), "", flags)).settings) {
    if (key.starts_with("model.")) keys.push_back(key.substr(6));
  }
  return keys;
}

// A llama's agreement holds what it always held: its signed bytes do not change because there are
// other families.
TEST(Schema, AFamilysAgreementHasThatFamilysKeys) {
  EXPECT_EQ(
      agreed_model_keys({}),
      (std::vector<std::string>{"family", "ffn", "heads", "init_stddev", "kv_heads", "layers",
                                "norm_eps", "rope_base", "tied", "tokenizer", "vocab", "width"}));
  EXPECT_EQ(agreed_model_keys({"--model.family=gpt2"}),
            (std::vector<std::string>{"family", "ffn", "heads", "init_stddev", "layers", "norm_eps",
                                      "positions", "tied", "tokenizer", "vocab", "width"}));
}

TEST(Schema, AnAgreedGpt2IsTheModelThatWasAgreedOn) {
  const std::vector<std::string> flags{"--model.family=gpt2", "--model.heads=8",
                                       "--model.positions=300", "--model.ffn=512"};
  const Config config = Config::load(federation_schema(), "", flags);
  const model::ModelConfig model = model_config(config);
  EXPECT_EQ(model.family, model::Family::gpt2);
  EXPECT_EQ(model.kv_heads, 8);
  EXPECT_EQ(model.positions, 300);
  EXPECT_TRUE(model.tied);
  const Config site = Config::load(site_schema(SiteNeeded::no), "", {},
                                   overlay_of(agreement_from(config), "the agreement"));
  EXPECT_EQ(model_config(site), model);
  EXPECT_ERROR_SAYS(Config::load(site_schema(SiteNeeded::no), "", {"--model.rope_base=5e5"},
                                 overlay_of(agreement_from(config), "the agreement")),
                    errors::config_bad_value, "model.rope_base");
}

TEST(Schema, KeysOfAnotherFamilyAreRefusedByName) {
  for (const char* flag : {"--model.kv_heads=4", "--model.rope_base=10000"}) {
    EXPECT_ERROR_SAYS(Config::load(federation_schema(), "", {"--model.family=gpt2", flag}),
                      errors::config_bad_value, "belongs to model.family = \"llama\" alone");
  }
  EXPECT_ERROR_SAYS(with("--model.positions=64"), errors::config_bad_value,
                    "belongs to model.family = \"gpt2\" alone");
}

TEST(Schema, TheDevicesPeakIsUnknownMeasuredOrANumber) {
  const auto peak = [](const std::string& text) {
    return site_settings(Config::load(site_schema(SiteNeeded::no), "", {"--train.peak=" + text}))
        .local.peak;
  };
  EXPECT_EQ(peak("unknown").flops_per_s, 0.0);
  EXPECT_FALSE(peak("unknown").measured);
  EXPECT_TRUE(peak("measure").measured);
  EXPECT_EQ(peak("1.6e11").flops_per_s, 1.6e11);
  for (const char* wrong : {"fast", "-1", "0", "1.6e11x", "inf", "nan"}) {
    EXPECT_ERROR_SAYS(peak(wrong), errors::config_bad_value, "FLOP/s above 0");
  }
}

TEST(Schema, CheckpointsAreKeptAndAlignedAsTheFileSays) {
  const auto read = [](const std::vector<std::string>& flags) {
    return site_settings(Config::load(site_schema(SiteNeeded::no), "", flags)).checkpoint;
  };
  EXPECT_EQ(read({}).keep, 2);
  EXPECT_EQ(read({}).keep_every, 0);
  EXPECT_EQ(read({}).alignment, 4096);
  EXPECT_TRUE(read({}).fast.empty());
  EXPECT_EQ(read({"--checkpoint.fast=/local/x"}).fast, "/local/x");
  const auto given = read(
      {"--checkpoint.keep=3", "--checkpoint.keep_every=100", "--checkpoint.alignment=4194304"});
  EXPECT_EQ(given.keep, 3);
  EXPECT_EQ(given.keep_every, 100);
  EXPECT_EQ(given.alignment, 1 << 22);
  for (const char* wrong : {"--checkpoint.alignment=5000", "--checkpoint.alignment=256",
                            "--checkpoint.alignment=33554432", "--checkpoint.keep=0",
                            "--checkpoint.keep_every=-1", "--checkpoint.fast=scratch"}) {
    const std::string flag(wrong);
    EXPECT_ERROR_SAYS(read({flag}), errors::config_bad_value, flag.substr(2, flag.find('=') - 2));
  }
}

TEST(Schema, AJobOfOneMpirunDoesNotLeaveBetweenRounds) {
  const auto read = [](const std::string& road, const std::string& leaves) {
    return site_settings(
        Config::load(site_schema(SiteNeeded::no), "",
                     {"--federation.roster=r.json", "--federation.agreement=a.json",
                      "--federation.road=" + road, "--train.exit_between_rounds=" + leaves}));
  };
  EXPECT_TRUE(read("tls", "true").job.exit_between_rounds);
  EXPECT_NO_THROW(read("mpi", "false"));
  EXPECT_ERROR_SAYS(read("mpi", "true"), errors::config_bad_value, "federation.road");
}

TEST(Schema, TheRatesScheduleIsFixedByTheAgreement) {
  const auto agreed = [](const char* schedule) {
    return agreement_from(
        Config::load(federation_schema(), "",
                     {std::string("--inner.schedule=") + schedule, "--inner.decay_share=0.5",
                      "--inner.warmup_steps=0", "--run.rounds=2", "--run.inner_steps=10"}));
  };
  const auto wsd = agreed("wsd");
  EXPECT_EQ(wsd.settings.at("inner.schedule"), "wsd");
  EXPECT_EQ(wsd.settings.at("inner.decay_share"), federation::real_text(0.5));
  EXPECT_DOUBLE_EQ(wsd.scales.summed_rates, 10 * 1e-3) << "all of round 0 is at the peak";
  EXPECT_LT(agreed("cosine").scales.summed_rates, 9.9e-3);
  EXPECT_ERROR_SAYS(agreed("linear"), errors::config_bad_value, "inner.schedule");
}

}  // namespace
}  // namespace concordat::cli
