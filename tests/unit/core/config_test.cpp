#include "concordat/core/config.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "concordat/core/error.hpp"
#include "support/expect_error.hpp"

namespace concordat {
namespace {

ConfigSchema schema() {
  ConfigSchema result;
  result.section("train", "inner training")
      .integer("train.steps", 10, {1, 100}, "inner steps")
      .real("train.rate", 1e-3, {0.0, 1.0}, "peak rate")
      .boolean("train.check", false, "stop before step 0")
      .text("train.device", "auto", {"auto", "cpu"}, "back end")
      .list("train.data", std::vector<std::string>{}, "datasets");
  return result;
}

std::string written(const std::string& text) {
  std::string path = testing::TempDir() + "concordat-config.toml";
  std::ofstream(path) << text;
  return path;
}

ErrorCode code_of(const std::string& toml, const std::vector<std::string>& flags = {}) {
  try {
    Config::load(schema(), toml.empty() ? "" : written(toml), flags);
  } catch (const Error& error) {
    return error.code();
  }
  return {"none", Severity::request, ExitCode::done};
}

TEST(Config, FlagBeatsFileBeatsDefaultAndOriginsAreKept) {
  auto path = written("[train]\nsteps = 20\nrate = 0.5\ndata = [\"a\", \"b\"]\n");
  Config config = Config::load(schema(), path, {"--train.steps=30", "--train.check=true"});
  EXPECT_EQ(config.integer("train.steps"), 30);
  EXPECT_EQ(config.real("train.rate"), 0.5);
  EXPECT_EQ(config.text("train.device"), "auto");
  EXPECT_EQ(config.list("train.data"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(config.origin("train.steps"), "flag");
  EXPECT_EQ(config.origin("train.rate"), path + ":3");
  EXPECT_FALSE(config.given("train.device"));
}

TEST(Config, EffectiveTomlReadsBackTheSame) {
  auto path = written("[train]\nrate = 0.1\ndevice = \"cpu\"\n");
  Config config = Config::load(schema(), path, {});
  Config again = Config::load(schema(), written(config.effective_toml()), {});
  EXPECT_EQ(again.real("train.rate"), config.real("train.rate"));
  EXPECT_EQ(again.text("train.device"), "cpu");
  EXPECT_EQ(again.integer("train.steps"), 10);
}

TEST(Config, AFixedValueIsNamedAsPeopleWriteItWithTheWayOutForFileAndFlag) {
  const ConfigOverlay agreed{"agreement.json", {{"train.rate", "0x1.999999999999ap-4"}}};
  const auto path = written("[train]\nrate = 0.5\n");
  EXPECT_ERROR_SAYS(Config::load(schema(), path, {}, agreed), errors::config_bad_value,
                    "take the key out of the file");
  EXPECT_ERROR_SAYS(Config::load(schema(), "", {"--train.rate=0.5"}, agreed),
                    errors::config_bad_value, "leave --train.rate out");
  EXPECT_ERROR_SAYS(Config::load(schema(), "", {"--train.rate=0.5"}, agreed),
                    errors::config_bad_value, "expected: 0.1;");
  EXPECT_EQ(Config::load(schema(), "", {"--train.rate=0.1"}, agreed).real("train.rate"), 0.1);
}

TEST(Config, TomlAtHandIsReadLikeAFile) {
  const Config config =
      Config::load_text(schema(), "[train]\nsteps = 20\n", "a/manifest.json", {"--train.rate=0.5"});
  EXPECT_EQ(config.integer("train.steps"), 20);
  EXPECT_EQ(config.real("train.rate"), 0.5);
  EXPECT_EQ(config.origin("train.steps"), "a/manifest.json:2");
  EXPECT_EQ(config.folder(), "a");
  EXPECT_ERROR_SAYS(Config::load_text(schema(), "x = 1", "kept", {}), errors::config_unknown_key,
                    "kept:1");
}

TEST(Config, AKeyThatBelongsToAnotherKeysValueIsAbsentOrRefusedWithoutIt) {
  ConfigSchema schema;
  schema.section("shape", "what to draw")
      .text("shape.kind", "circle", {"circle", "box"}, "kind")
      .real("shape.radius", 1.0, {0.0, 9.0}, "of a circle")
      .only_with("shape.kind", "circle")
      .real("shape.edge", 2.0, {0.0, 9.0}, "of a box")
      .only_with("shape.kind", "box")
      .boolean("shape.filled", false, "paint the inside")
      .fallback_with("shape.kind", "box", true);
  const Config circle = Config::load(schema, "", {});
  EXPECT_TRUE(circle.has("shape.radius"));
  EXPECT_FALSE(circle.has("shape.edge"));
  EXPECT_FALSE(circle.boolean("shape.filled"));
  EXPECT_THROW(circle.real("shape.edge"), Bug);
  const Config box = Config::load(schema, "", {"--shape.kind=box", "--shape.edge=3"});
  EXPECT_FALSE(box.has("shape.radius"));
  EXPECT_EQ(box.real("shape.edge"), 3.0);
  EXPECT_TRUE(box.boolean("shape.filled"));
  EXPECT_FALSE(box.given("shape.filled"));
  EXPECT_FALSE(Config::load(schema, "", {"--shape.kind=box", "--shape.filled=false"})
                   .boolean("shape.filled"));

  EXPECT_ERROR_SAYS(Config::load(schema, "", {"--shape.edge=3"}), errors::config_bad_value,
                    "shape.edge belongs to shape.kind = \"box\" alone");
  const auto path = written("[shape]\nkind = \"box\"\nradius = 1.0\n");
  EXPECT_ERROR_SAYS(Config::load(schema, path, {}), errors::config_bad_value, path + ":3");
  // A signed document that fixes the kind fixes which keys there are.
  const ConfigOverlay agreed{.origin = "the agreement", .values = {{"shape.kind", "box"}}};
  EXPECT_FALSE(Config::load(schema, "", {}, agreed).has("shape.radius"));
  EXPECT_ERROR_SAYS(Config::load(schema, "", {"--shape.radius=2"}, agreed),
                    errors::config_bad_value, "shape.radius");

  const Config again = Config::load(schema, written(box.effective_toml()), {});
  EXPECT_EQ(again.real("shape.edge"), 3.0);
  EXPECT_NE(schema.help().find("only with shape.kind = box"), std::string::npos);
  EXPECT_NE(schema.help().find("with shape.kind = box true"), std::string::npos);
}

TEST(Config, AWholeNumberIsAcceptedWhereARealIsWanted) {
  EXPECT_EQ(Config::load(schema(), written("train.rate = 1\n"), {}).real("train.rate"), 1.0);
}

TEST(Config, RefusesUnknownBadAndMissing) {
  EXPECT_EQ(code_of("[train]\nstep = 1\n"), errors::config_unknown_key);
  EXPECT_EQ(code_of("[train]\nsteps = 0\n"), errors::config_bad_value);
  EXPECT_EQ(code_of("[train]\nsteps = 1.5\n"), errors::config_bad_value);
  EXPECT_EQ(code_of("[train]\nrate = nan\n"), errors::config_bad_value);
  EXPECT_EQ(code_of("[train]\ndevice = \"gpu\"\n"), errors::config_bad_value);
  EXPECT_EQ(code_of("[train]\ndata = [1]\n"), errors::config_bad_value);
  EXPECT_EQ(code_of("[train\n"), errors::config_bad_value);
  EXPECT_EQ(code_of("", {"--train.stepz=1"}), errors::config_unknown_key);
  EXPECT_EQ(code_of("", {"--train.steps=many"}), errors::config_bad_value);
  ConfigSchema strict;
  strict.integer("a.b", std::nullopt, {0, 1}, "");
  EXPECT_ERROR_SAYS(Config::load(strict, "", {}), errors::config_missing_key, "a.b");
}

TEST(Config, AnOverlayReplacesDefaultsAndRefusesOtherValues) {
  ConfigOverlay fixed{.origin = "agreement.json", .values = {{"train.rate", "0x1p-1"}}};
  EXPECT_EQ(Config::load(schema(), "", {}, fixed).real("train.rate"), 0.5);
  EXPECT_EQ(Config::load(schema(), "", {}, fixed).origin("train.rate"), "agreement.json");
  EXPECT_EQ(Config::load(schema(), "", {"--train.rate=0.5"}, fixed).real("train.rate"), 0.5);
  try {
    Config::load(schema(), "", {"--train.rate=0.25"}, fixed);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), errors::config_bad_value);
    EXPECT_NE(error.fields().what.find("agreement.json"), std::string::npos);
  }
}

TEST(Config, AMisspeltKeyNamesTheNearest) {
  try {
    Config::load(schema(), written("[train]\nstep = 1\n"), {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(error.fields().expected.find("train.steps"), std::string::npos);
    EXPECT_NE(error.fields().where.find(":2"), std::string::npos);
  }
}

TEST(Config, HelpListsEveryKeyWithItsRangeAndDefault) {
  ConfigSchema all = schema();
  std::string help = all.help();
  for (const auto& key : all.keys()) {
    EXPECT_NE(help.find("--" + key.name), std::string::npos);
  }
  EXPECT_NE(help.find("from 1 to 100; default 10"), std::string::npos);
}

TEST(Config, HelpIsWrappedBetweenWords) {
  ConfigSchema one;
  std::string words;
  for (int i = 0; i < 40; ++i) words += (i == 0 ? "word" : " word") + std::to_string(i);
  one.section("long", "").text("long.text", "", {}, words);
  std::istringstream help(one.help());
  std::string found, line;
  while (std::getline(help, line)) {
    EXPECT_LE(line.size(), 100U) << line;
    if (line.starts_with("        ")) found += (found.empty() ? "" : " ") + line.substr(8);
  }
  EXPECT_EQ(found, words);
}

}  // namespace
}  // namespace concordat
