#include "concordat/core/bytes.hpp"

#include <gtest/gtest.h>

#include "concordat/core/error.hpp"

namespace concordat {
namespace {

TEST(Bytes, WriterAndReaderAgreeOnEveryField) {
  ByteWriter out;
  out.u8(1);
  out.u16(0x0203);
  out.u32(0x04050607);
  out.u64(0x08090a0b0c0d0e0fULL);
  out.i64(-5);
  out.f32(1.5F);
  out.f64(-0.25);
  out.sized("text");
  out.digest(Digest{});
  Bytes bytes = std::move(out).bytes();
  EXPECT_EQ(to_hex(ByteView(bytes).first(7)), "01030207060504");
  ByteReader in(bytes, "test");
  EXPECT_EQ(in.u8(), 1);
  EXPECT_EQ(in.u16(), 0x0203);
  EXPECT_EQ(in.u32(), 0x04050607U);
  EXPECT_EQ(in.u64(), 0x08090a0b0c0d0e0fULL);
  EXPECT_EQ(in.i64(), -5);
  EXPECT_EQ(in.f32(), 1.5F);
  EXPECT_EQ(in.f64(), -0.25);
  EXPECT_EQ(in.sized_string(4), "text");
  EXPECT_TRUE(in.digest().is_zero());
  in.finish();
}

TEST(Bytes, ReaderRefusesWhatDoesNotFit) {
  Bytes bytes{255, 255, 255, 255, 1};
  EXPECT_THROW(ByteReader(ByteView(bytes).first(3), "test").u32(), Error);
  EXPECT_THROW(ByteReader(bytes, "test").sized(1U << 20U), Error);
  EXPECT_THROW(ByteReader(bytes, "test").count(7), Error);
  ByteReader in(bytes, "the manifest");
  in.u32();
  try {
    in.finish();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), errors::malformed);
    EXPECT_EQ(error.fields().where, "the manifest");
  }
}

TEST(Bytes, HexRoundTripsAndRefusesOddLengthAndUpperCase) {
  EXPECT_EQ(to_hex(from_hex("00ff10", "t")), "00ff10");
  EXPECT_THROW(from_hex("0", "t"), Error);
  EXPECT_THROW(from_hex("AA", "t"), Error);
  EXPECT_THROW(digest_from_hex("00", "t"), Error);
}

TEST(Bytes, Base64MatchesRfc4648) {
  const std::pair<const char*, const char*> cases[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : cases) {
    EXPECT_EQ(to_base64(as_bytes(plain)), coded);
    EXPECT_EQ(to_string(from_base64(coded, "t")), plain);
  }
  for (const char* bad : {"Zg=", "Z===", "Zh==", "Zm9=", "Zg==Zg==", "Z*=="}) {
    EXPECT_THROW(from_base64(bad, "t"), Error) << bad;
  }
}

}  // namespace
}  // namespace concordat
