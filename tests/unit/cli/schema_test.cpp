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

}  // namespace
}  // namespace concordat::cli
