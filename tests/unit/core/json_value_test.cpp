#include "concordat/core/json_value.hpp"

#include <gtest/gtest.h>

#include "support/expect_error.hpp"

namespace concordat {
namespace {

TEST(JsonValue, ReadsEveryKind) {
  auto v = JsonValue::parse(
      R"({"a":[1,-2.5,true,null],"b":{"c":"\u00e4"},"d":9223372036854775807})", "x");
  EXPECT_EQ(v.at("a", "x").list("x")[0].integer("x"), 1);
  EXPECT_EQ(v.at("a", "x").list("x")[1].real("x"), -2.5);
  EXPECT_TRUE(v.at("a", "x").list("x")[2].boolean("x"));
  EXPECT_TRUE(v.at("a", "x").list("x")[3].is_null());
  EXPECT_EQ(v.at("b", "x").at("c", "x").text("x"), "ä");
  EXPECT_EQ(v.at("d", "x").integer("x"), INT64_MAX);
  EXPECT_EQ(v.find("e"), nullptr);
  EXPECT_EQ(v.members("x")[1].first, "b");
}

TEST(JsonValue, RefusesWhatTwoReadersCouldReadDifferently) {
  EXPECT_ERROR_SAYS(JsonValue::parse(R"({"a":1,"b":{"a":1},"a":2})", "f.json"), errors::malformed,
                    "\"a\"");
  EXPECT_ERROR(JsonValue::parse("{\"a\":1} x", "f.json"), errors::malformed);
  EXPECT_ERROR(JsonValue::parse("{\"a\":\"\xff\"}", "f.json"), errors::malformed);
  EXPECT_ERROR(JsonValue::parse("", "f.json"), errors::malformed);
  EXPECT_ERROR(JsonValue::parse("{\"a\":1e999}", "f.json"), errors::malformed);
}

TEST(JsonValue, HoldsItsBounds) {
  EXPECT_ERROR(JsonValue::parse(std::string(100'000, '['), "f.json"), errors::malformed);
  EXPECT_ERROR(JsonValue::parse("[1,2,3,4]", "f.json", {.max_values = 4}), errors::malformed);
  EXPECT_ERROR(JsonValue::parse("[1,2,3,4]", "f.json", {.max_bytes = 4}), errors::malformed);
}

TEST(JsonValue, GettersRefuseAnotherKindAndSayWhere) {
  auto v = JsonValue::parse(R"({"n":18446744073709551615,"t":"x"})", "f.json");
  EXPECT_ERROR_SAYS(v.at("n", "f.json").integer("f.json: n"), errors::malformed, "f.json: n");
  EXPECT_ERROR(v.at("t", "f.json").real("f.json"), errors::malformed);
  EXPECT_ERROR_SAYS(v.at("u", "f.json"), errors::malformed, "\"u\"");
}

}  // namespace
}  // namespace concordat
