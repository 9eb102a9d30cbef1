#include "concordat/model/safetensors.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "concordat/model/errors.hpp"
#include "concordat/model/weight_folder.hpp"
#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"

namespace concordat::model {
namespace {

using testing_support::overwrite;
using testing_support::TemporaryFolder;

const std::string two =
    R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
    R"("b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}})";

Bytes file_of(std::string_view header, std::size_t data_bytes) {
  ByteWriter out;
  out.u64(header.size());
  out.raw(as_bytes(header));
  for (std::size_t i = 0; i < data_bytes; ++i) out.u8(0);
  return std::move(out).bytes();
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Safetensors, WritesWhatItReads) {
  TemporaryFolder folder;
  const auto path = folder.path() / "model.safetensors";
  const std::vector<float> values{1.0F, -2.5F, 3.0e-20F, 4.0F, 0.1F, -0.0F};
  SafetensorsWriter out(posix_files(), path, {{"b.weight", {2, 3}}, {"a", {1}}, {"none", {0, 7}}},
                        Dtype::f32, {{"format", "pt"}});
  out.write(1, 0, std::vector<float>{9.0F});
  out.write(0, 2, std::span(values).subspan(2));
  out.write(0, 0, std::span(values).first(2));
  out.finish();
  EXPECT_EQ(posix_files().file_size(path), out.file_bytes());
  SafetensorsReader in(posix_files(), path);
  EXPECT_EQ(in.header().metadata.at("format"), "pt");
  std::vector<float> found(6);
  in.read(*in.find("b.weight"), 0, found);
  EXPECT_EQ(std::memcmp(found.data(), values.data(), 24), 0);
  in.read(*in.find("b.weight"), 4, std::span(found).first(2));
  EXPECT_EQ(found[0], 0.1F);
  EXPECT_EQ(in.find("c"), nullptr);
}

TEST(Safetensors, ReadsHalfAndBrainFloatsExactly) {
  TemporaryFolder folder;
  const auto path = folder.path() / "x.safetensors";
  const std::string header = R"({"h":{"dtype":"F16","shape":[5],"data_offsets":[0,10]},)"
                             R"("b":{"dtype":"BF16","shape":[2],"data_offsets":[10,14]}})";
  Bytes file = file_of(header, 0);
  // 1, -2, 65504 (largest), 2^-24 (least), -1/3 rounded; bf16 1 and -3.140625.
  for (unsigned bits : {0x3c00U, 0xc000U, 0x7bffU, 0x0001U, 0xb555U, 0x3f80U, 0xc049U}) {
    file.push_back(static_cast<std::uint8_t>(bits & 0xffU));
    file.push_back(static_cast<std::uint8_t>(bits >> 8U));
  }
  overwrite(path, file);
  SafetensorsReader in(posix_files(), path);
  std::vector<float> h(5);
  in.read(*in.find("h"), 0, h);
  EXPECT_EQ(h, (std::vector<float>{1.0F, -2.0F, 65504.0F, 5.9604645e-08F, -0.33325195F}));
  std::vector<float> b(2);
  in.read(*in.find("b"), 0, b);
  EXPECT_EQ(b, (std::vector<float>{1.0F, -3.140625F}));
}

TEST(Safetensors, WritesBfloat16RoundedToNearestEven) {
  TemporaryFolder folder;
  const auto path = folder.path() / "x.safetensors";
  SafetensorsWriter out(posix_files(), path, {{"a", {2}}}, Dtype::bf16);
  out.write(0, 0, std::vector<float>{1.00390625F, 1.01171875F});  // both lie half way
  out.finish();
  SafetensorsReader in(posix_files(), path);
  std::vector<float> found(2);
  in.read(*in.find("a"), 0, found);
  EXPECT_EQ(found, (std::vector<float>{1.0F, 1.015625F}));
}

TEST(Safetensors, RefusesHostileHeaders) {
  const struct {
    const char* what;
    std::string header;
    std::uint64_t data_bytes;
  } cases[] = {
      {"not JSON", "{]", 0},
      {"a list", "[]", 0},
      {"a space first", " {}", 0},
      {"nothing", "", 0},
      {"a repeated tensor",
       R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
       R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       8},
      {"overlap", replaced(replaced(two, "[24,32]", "[20,28]"), "[4]", "[4]"), 28},
      {"a hole", replaced(two, "[24,32]", "[28,36]"), 36},
      {"bytes behind the last", two, 33},
      {"beyond the file", two, 31},
      {"reversed", replaced(two, "[24,32]", "[32,24]"), 32},
      {"negative", replaced(two, "[0,24]", "[-24,0]"), 32},
      {"beyond 63 bits", replaced(two, "[24,32]", "[24,18446744073709551615]"), 32},
      {"a wrapping shape", replaced(two, "[2,3]", "[4611686018427387904,4611686018427387904]"), 32},
      {"a wrapping shape to 24", replaced(two, "[2,3]", "[3,2,4611686018427387904,4]"), 32},
      {"a negative axis", replaced(two, "[2,3]", "[-2,-3]"), 32},
      {"a fraction", replaced(two, "[2,3]", "[2,3.0]"), 32},
      {"length unequal shape", replaced(two, "[2,3]", "[2,2]"), 32},
      {"an unknown type", replaced(two, "F32", "F31"), 32},
      {"three offsets", replaced(two, "[24,32]", "[24,32,32]"), 32},
      {"no shape", replaced(two, R"("shape":[4],)", ""), 32},
      {"another field", replaced(two, R"("shape":[4])", R"("shape":[4],"x":1)"), 32},
      {"metadata that is no text", replaced(two, R"("pt")", "7"), 32},
      {"not aligned",
       R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
       R"("b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})",
       5},
      {"too many axes", replaced(two, "[4]", "[1,1,1,1,1,1,1,1,4]"), 32},
  };
  EXPECT_EQ(parse_safetensors_header(two, 32, "x").tensors.size(), 2U);
  for (const auto& test : cases) {
    SCOPED_TRACE(test.what);
    try {
      parse_safetensors_header(test.header, test.data_bytes, "x.safetensors");
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), ExitCode::data);
      const ErrorFields& f = error.fields();
      EXPECT_FALSE(f.what.empty() || f.where.empty() || f.found.empty() || f.expected.empty() ||
                   f.remedy.empty())
          << error.what();
      EXPECT_EQ(f.where.substr(0, 13), "x.safetensors");
    }
  }
}

TEST(Safetensors, RefusesHostileLengths) {
  TemporaryFolder folder;
  const auto path = folder.path() / "x.safetensors";
  for (const std::uint64_t length : {std::uint64_t{1000}, max_safetensors_header_bytes + 1,
                                     ~std::uint64_t{0}, ~std::uint64_t{0} - 7}) {
    Bytes file = file_of(two, 32);
    for (int i = 0; i < 8; ++i) {
      file[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(length >> (8 * i));
    }
    overwrite(path, file);
    EXPECT_ERROR_SAYS(SafetensorsReader(posix_files(), path), errors::bad_weights, path.string());
  }
  overwrite(path, as_bytes("short"));
  EXPECT_ERROR(SafetensorsReader(posix_files(), path), errors::bad_weights);
}

TEST(Safetensors, RefusesElementTypesAndValuesThatAreNoWeights) {
  TemporaryFolder folder;
  const auto path = folder.path() / "x.safetensors";
  overwrite(path, file_of(R"({"d":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})", 8));
  SafetensorsReader doubles(posix_files(), path);
  std::vector<float> one(1);
  EXPECT_ERROR_SAYS(doubles.read(*doubles.find("d"), 0, one), errors::unsupported, "F64");
  Bytes file = file_of(R"({"n":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 2);
  file.push_back(0x80);
  file.push_back(0x7f);  // infinity
  overwrite(path, file);
  SafetensorsReader infinite(posix_files(), path);
  EXPECT_ERROR_SAYS(infinite.read(*infinite.find("n"), 0, one), errors::bad_weights, "element 0");
}

// Whatever a stranger writes, reading ends with a refusal or with tensors that cover the file.
TEST(Safetensors, TenThousandMutatedHeadersAreRefusedOrConsistent) {
  std::mt19937 random(20261122);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  const std::string pieces[] = {"{",
                                "}",
                                "[",
                                "]",
                                ",",
                                ":",
                                "\"",
                                "0",
                                "-1",
                                "24",
                                "1e9",
                                "null",
                                "a",
                                "F16",
                                "U8",
                                "[]",
                                "\\u0000",
                                "\x80",
                                "9223372036854775807",
                                "18446744073709551616",
                                "32",
                                " "};
  int refused = 0;
  for (int round = 0; round < 10'000; ++round) {
    std::string text = two;
    for (std::size_t change = 0; change <= below(3); ++change) {
      const std::size_t at = below(text.size());
      switch (below(4)) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.erase(at, 1 + below(8));
          break;
        case 2:
          text.insert(at, pieces[below(std::size(pieces))]);
          break;
        default:
          text.replace(at, std::min<std::size_t>(1 + below(4), text.size() - at),
                       pieces[below(std::size(pieces))]);
      }
      if (text.empty()) text = "{";
    }
    try {
      const SafetensorsHeader header = parse_safetensors_header(text, 32, "x");
      std::uint64_t at = 0;
      for (const SafetensorsEntry& entry : header.tensors) {
        ASSERT_EQ(entry.begin, at) << text;
        at = entry.end;
      }
      ASSERT_EQ(at, 32U) << text;
      ASSERT_EQ(parse_safetensors_header(safetensors_header_text(header), 32, "x"), header) << text;
    } catch (const Error& error) {
      ASSERT_EQ(error.exit_code(), ExitCode::data) << text;
      ++refused;
    }
  }
  EXPECT_GT(refused, 5'000);  // most mutations break something
}

class Folder : public ::testing::Test {
 protected:
  void write_shard(const std::string& name, const std::string& tensor) {
    SafetensorsWriter out(posix_files(), folder_.path() / name, {{tensor, {1}}}, Dtype::f32);
    out.write(0, 0, std::vector<float>{static_cast<float>(tensor.size())});
    out.finish();
  }
  void write_index(const std::string& map) {
    overwrite(folder_.path() / weights_index_name,
              as_bytes(R"({"metadata":{"total_size":8},"weight_map":)" + map + "}"));
  }
  void expect_refused(const std::string& text) {
    EXPECT_ERROR_SAYS(WeightFolder(posix_files(), folder_.path()), errors::bad_weights, text);
  }
  TemporaryFolder folder_;
};

TEST_F(Folder, ReadsShards) {
  write_shard("m-1.safetensors", "a");
  write_shard("m-2.safetensors", "bb");
  write_index(R"({"a":"m-1.safetensors","bb":"m-2.safetensors"})");
  WeightFolder in(posix_files(), folder_.path());
  EXPECT_EQ(in.names(), (std::vector<std::string>{"a", "bb"}));
  EXPECT_EQ(in.num_bytes(), 8U);
  std::vector<float> value(1);
  in.read("bb", 0, value);
  EXPECT_EQ(value[0], 2.0F);
}

TEST_F(Folder, RefusesHostileIndexes) {
  write_shard("m-1.safetensors", "a");
  write_shard("m-2.safetensors", "b");
  for (const char* name :
       {"../m-1.safetensors", "/etc/passwd", "x/m-1.safetensors", "..", ".safetensors", "",
        "m-1.bin", "a\\\\m-1.safetensors", "m-1.safetensors\\u0000.safetensors"}) {
    write_index(std::string(R"({"a":")") + name + R"("})");
    expect_refused("outside its folder");
  }
  write_index(R"({"a":"m-3.safetensors"})");
  expect_refused("a shard is missing");
  write_index(R"({"a":"m-2.safetensors"})");
  expect_refused("not in the shard");
  write_index(R"({"a":"m-1.safetensors","c":"m-2.safetensors"})");
  expect_refused("not in the shard");
  write_shard("m-4.safetensors", "a");
  write_index(R"({"a":"m-1.safetensors","b":"m-2.safetensors","a ":"m-4.safetensors"})");
  expect_refused("not in the shard");
  write_shard("model.safetensors", "a");
  expect_refused("twice");
}

TEST_F(Folder, SaysWhatIsMissing) {
  EXPECT_ERROR_SAYS(WeightFolder(posix_files(), folder_.path()), concordat::errors::not_found,
                    "save_pretrained");
}

}  // namespace
}  // namespace concordat::model
