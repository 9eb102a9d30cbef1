#include "concordat/ledger/entry.hpp"

#include <gtest/gtest.h>

#include "ledger_fixture.hpp"

namespace concordat::ledger::testing {
namespace {

TEST(Entry, line_is_exact_and_reads_back) {
  const LoggedEntry logged{3, 1'760'000'000, {"state", "state/3", {{"round", "3"}, {"x", ""}}}};
  const std::string line = to_line(logged);
  EXPECT_EQ(line, R"({"index":3,"time":1760000000,"kind":"state","key":"state/3",)"
                  R"("fields":{"round":"3","x":""}})");
  const LoggedEntry back = from_line(line, "test");
  EXPECT_EQ(back.entry, logged.entry);
  EXPECT_EQ(back.index, 3U);
  EXPECT_EQ(back.unix_seconds, 1'760'000'000);
}

TEST(Entry, every_byte_below_0x20_and_every_plane_survives) {
  std::string text;
  for (char c = 0; c < 0x20; ++c) text += c;
  text += "\"\\/\x7f \xc3\xa9 \xe2\x82\xac \xf0\x9f\x9b\xb0 \xed\x9f\xbf \xf4\x8f\xbf\xbf";
  const LoggedEntry logged{0, 0, {"kind", "key", {{text, text}}}};
  const std::string line = to_line(logged);
  EXPECT_EQ(line.find('\n'), line.npos);
  EXPECT_NE(line.find(R"(\u0000\u0001)"), line.npos);
  EXPECT_NE(line.find(R"(\u001f\"\\/)"), line.npos);
  EXPECT_EQ(from_line(line, "test").entry, logged.entry);
}

TEST(Entry, writer_refuses_what_has_no_one_reading) {
  auto refused = [](const Entry& entry) {
    return code_of([&] { to_line({0, 0, entry}); }) == errors::malformed.name;
  };
  EXPECT_TRUE(refused({"", "key", {}}));
  EXPECT_TRUE(refused({"kind", "", {}}));
  EXPECT_TRUE(refused({"kind", "key", {{"a", "1"}, {"a", "2"}}}));
  EXPECT_TRUE(refused({"kind", "key", {{"", "1"}}}));
  for (const char* bad : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
    EXPECT_TRUE(refused({"kind", "key", {{"a", bad}}})) << to_hex(as_bytes(bad));
  }
  EXPECT_TRUE(refused({"kind", "key", {{"a", std::string(max_line_bytes, 'x')}}}));
  EXPECT_EQ(code_of([] { to_line({0, -1, {"kind", "key", {}}}); }), errors::malformed.name);
}

TEST(Entry, reader_refuses_every_other_form_of_the_same_json) {
  const std::string good = R"({"index":0,"time":1,"kind":"k","key":"y","fields":{"a":"1"}})";
  EXPECT_NO_THROW(from_line(good, "test"));
  const char* others[] = {
      "",
      "{}",
      R"( {"index":0,"time":1,"kind":"k","key":"y","fields":{"a":"1"}})",
      R"({"index":0,"time":1,"kind":"k","key":"y","fields":{"a":"1"}} )",
      R"({"index": 0,"time":1,"kind":"k","key":"y","fields":{"a":"1"}})",
      R"({"index":00,"time":1,"kind":"k","key":"y","fields":{"a":"1"}})",
      R"({"index":-1,"time":1,"kind":"k","key":"y","fields":{"a":"1"}})",
      R"({"index":1e0,"time":1,"kind":"k","key":"y","fields":{"a":"1"}})",
      R"({"index":18446744073709551616,"time":1,"kind":"k","key":"y","fields":{}})",
      R"({"index":0,"time":9223372036854775808,"kind":"k","key":"y","fields":{}})",
      R"({"time":1,"index":0,"kind":"k","key":"y","fields":{"a":"1"}})",
      R"({"index":0,"time":1,"kind":"","key":"y","fields":{"a":"1"}})",
      R"({"index":0,"time":1,"kind":"k","key":"y","fields":{"a":1}})",
      R"({"index":0,"time":1,"kind":"k","key":"y","fields":{"a":"1",}})",
      R"({"index":0,"time":1,"kind":"k","key":"y","fields":{"a":"1","a":"2"}})",
      R"({"index":0,"time":1,"kind":"k","key":"y","fields":{"a":"\n"}})",
      R"({"index":0,"time":1,"kind":"k","key":"y","fields":{"a":"\u0041"}})",
      R"({"index":0,"time":1,"kind":"k","key":"y","fields":{"a":"\u001F"}})",
      R"({"index":0,"time":1,"kind":"k","key":"y","fields":{"a":"1"}})"
      "\r",
      R"({"index":0,"time":1,"kind":"k","key":"y","fields":{"a":"1"})",
  };
  for (const char* other : others) {
    EXPECT_EQ(code_of([&] { from_line(other, "test"); }), errors::malformed.name) << other;
  }
}

TEST(Entry, no_prefix_and_no_flipped_bit_reads_as_another_form) {
  const std::string line = to_line({12, 34, {"commit", "commit/1.0.0", {{"root", "ab\"c"}}}});
  for (std::size_t size = 0; size < line.size(); ++size) {
    EXPECT_THROW(from_line(line.substr(0, size), "test"), Error) << size;
  }
  for (std::size_t bit = 0; bit < line.size() * 8; ++bit) {
    std::string flipped = line;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    try {
      EXPECT_EQ(to_line(from_line(flipped, "test")), flipped) << bit;
    } catch (const Error&) {
      // refused: fine
    }
  }
}

TEST(Entry, missing_field_is_named) {
  const Entry entry{"commit", "commit/1.0.0", {{"root", "00"}}};
  EXPECT_EQ(entry.at("root"), "00");
  EXPECT_EQ(entry.find("other"), nullptr);
  EXPECT_THROW(entry.at("other"), Error);
}

}  // namespace
}  // namespace concordat::ledger::testing
