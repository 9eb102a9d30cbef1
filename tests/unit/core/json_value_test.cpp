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

TEST(JsonValue, ObjectsHaveABoundOfTheirOwn) {
  const std::string two = R"({"a":{"b":1,"c":2}})";
  EXPECT_ERROR_SAYS(JsonValue::parse(two, "f.json", {.max_members = 1}), errors::malformed,
                    "too many fields");
  EXPECT_EQ(JsonValue::parse(two, "f.json", {.max_members = 2}).members("f.json").size(), 1U);
}

TEST(JsonValue, WritesWhatItReads) {
  JsonValue built = JsonValue::object();
  built.add("flag", true).add("least", INT64_MIN).add("most", UINT64_MAX).add("text", "ä \"x\"\n");
  built.add("names", std::vector<std::string>{"a", "b"}).add("none", std::vector<JsonValue>{});
  built.add("inner", std::map<std::string, std::string>{{"k", "v"}}).add("null", JsonValue());
  const std::string text = built.document();
  EXPECT_EQ(text,
            "{\n  \"flag\": true,\n  \"least\": -9223372036854775808,\n"
            "  \"most\": 18446744073709551615,\n  \"text\": \"ä \\\"x\\\"\\n\",\n"
            "  \"names\": [\n    \"a\",\n    \"b\"\n  ],\n  \"none\": [],\n"
            "  \"inner\": {\n    \"k\": \"v\"\n  },\n  \"null\": null\n}\n");
  const JsonValue read = JsonValue::parse(text, "x");
  EXPECT_EQ(read.document(), text);
  EXPECT_EQ(read.at("most", "x").natural("x"), UINT64_MAX);
  EXPECT_EQ(read.at("least", "x").integer("x"), INT64_MIN);
  EXPECT_ERROR(read.at("least", "x").natural("x"), errors::malformed);
  EXPECT_ERROR(read.at("most", "x").integer("x"), errors::malformed);
}

TEST(JsonValue, WritesNoBytesThatAreNotText) {
  const JsonValue bad = JsonValue::object().add("name", "\xff");
  EXPECT_ERROR(bad.document(), errors::malformed);
  EXPECT_EQ(bad.document(JsonValue::NotUtf8::replace), "{\n  \"name\": \"\xef\xbf\xbd\"\n}\n");
}

}  // namespace
}  // namespace concordat
