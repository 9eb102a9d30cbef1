#include <gtest/gtest.h>

#include <random>

#include "concordat/data/dataset.hpp"
#include "concordat/data/errors.hpp"
#include "corpus.hpp"
#include "support/expect_error.hpp"

namespace concordat::data {
namespace {

using Documents = std::vector<std::vector<Token>>;

class TokenFiles : public CorpusTest {
 protected:
  /// 40 documents; ids below 50256.
  static Documents some(int count = 40) {
    Documents all;
    for (int d = 0; d < count; ++d) {
      all.emplace_back();
      for (int i = 0; i <= d % 9; ++i) all.back().push_back((d * 1237 + i * 31) % 50000);
    }
    return all;
  }
  void write(const std::string& name, const Bytes& bytes) { put(name, to_string(bytes)); }
  static void put_id(ByteWriter& out, Token id, int width) {
    for (int shift = 0; shift < 8 * width; shift += 8) {
      out.u8(static_cast<std::uint8_t>(static_cast<std::uint64_t>(id) >> shift));
    }
  }
  /// As llm.c's scripts write it: the separator opens each document.
  static Bytes llmc(const Documents& documents, std::uint32_t magic = 20240520,
                    std::uint32_t version = 1, Token separator = 50256) {
    const int width = version == 7 ? 4 : 2;
    ByteWriter body;
    std::uint32_t count = 0;
    for (const auto& document : documents) {
      put_id(body, separator, width);
      for (const Token id : document) put_id(body, id, width);
      count += static_cast<std::uint32_t>(document.size()) + 1;
    }
    ByteWriter out;
    for (const std::uint32_t value : {magic, version, count}) out.u32(value);
    for (int i = 3; i < 256; ++i) out.u32(0);
    out.raw(body.bytes());
    return std::move(out).bytes();
  }
  struct Pair {
    Bytes bin, idx;
  };
  /// Two sequences a document where it is long, each document closed by id 7; code 4 is i32.
  static Pair megatron(const Documents& documents, std::uint8_t code = 4, int width = 4) {
    ByteWriter bin, lengths, pointers, boundaries;
    std::uint64_t sequences = 0;
    std::uint64_t at = 0;
    boundaries.u64(0);
    const auto sequence = [&](std::span<const Token> ids) {
      lengths.u32(static_cast<std::uint32_t>(ids.size()));
      pointers.u64(at);
      for (const Token id : ids) put_id(bin, id, width);
      at += ids.size() * static_cast<std::size_t>(width);
      ++sequences;
    };
    for (auto document : documents) {
      document.push_back(7);
      const std::size_t half = document.size() > 4 ? document.size() / 2 : 0;
      if (half > 0) sequence(std::span(document).first(half));
      sequence(std::span(document).subspan(half));
      boundaries.u64(sequences);
    }
    ByteWriter idx;
    idx.raw(as_bytes(std::string_view("MMIDIDX\0\0", 9)));
    idx.u64(1);
    idx.u8(code);
    idx.u64(sequences);
    idx.u64(documents.size() + 1);
    idx.raw(lengths.bytes());
    idx.raw(pointers.bytes());
    idx.raw(boundaries.bytes());
    return {std::move(bin).bytes(), std::move(idx).bytes()};
  }

  DatasetManifest ingest_as(SourceFormat format, std::optional<std::uint32_t> vocabulary = {},
                            std::optional<std::uint32_t> separator = {}) {
    IngestOptions o = options();
    o.format = format;
    o.vocabulary = vocabulary;
    o.separator = separator;
    fs_.remove_all(out_);
    return ingest_documents(fs_, o, key_, random_);
  }
  /// All documents of both splits, sorted.
  Documents read_back(const DatasetManifest& manifest) {
    Documents all;
    for (const ShardInfo& info : manifest.shards) {
      ShardReader shard(fs_, out_, info.id, key_, manifest.vocabulary);
      for (std::uint64_t i = 0; i < shard.num_documents(); ++i) {
        const DocumentEntry entry = shard.document(i);
        std::vector<Token> tokens(entry.size + 1);
        shard.read(entry.begin, tokens);
        EXPECT_EQ(tokens.back(), static_cast<Token>(manifest.vocabulary.separator));
        tokens.pop_back();
        all.push_back(tokens);
      }
    }
    std::sort(all.begin(), all.end());
    return all;
  }
  static Documents sorted(Documents documents) {
    std::sort(documents.begin(), documents.end());
    return documents;
  }
};

TEST_F(TokenFiles, LlmcDocumentsComeBack) {
  Documents documents = some();
  Documents first(documents.begin(), documents.begin() + 25);
  Documents second(documents.begin() + 25, documents.end());
  write("a.bin", llmc(first));
  write("b.bin", llmc(second));
  const DatasetManifest done = ingest_as(SourceFormat::llmc);
  EXPECT_EQ(done.vocabulary, (Vocabulary{.kind = "given", .size = 50257, .separator = 50256}));
  EXPECT_EQ(read_back(done), sorted(documents));
  EXPECT_EQ(done.num_documents, 40U);
  // What is on disk says the same.
  EXPECT_EQ(load_manifest(fs_, out_, key_).text(), done.text());
  auto train = Dataset::open(fs_, out_, key_, Split::train, 1);
  EXPECT_EQ(train.manifest().vocabulary, done.vocabulary);
  EXPECT_EQ(train.num_tokens(), done.num_tokens(Split::train));
}

TEST_F(TokenFiles, WideIdsHaveThirtyTwoBits) {
  Documents documents = some();
  documents[3] = {128255, 70000, 1};
  write("a.bin", llmc(documents, 20240801, 7, 128000));
  const DatasetManifest done = ingest_as(SourceFormat::llmc);
  EXPECT_EQ(done.vocabulary.size, 128256U);
  EXPECT_EQ(done.vocabulary.token_bytes(), 4U);
  EXPECT_EQ(read_back(done), sorted(documents));
  // A reader of another vocabulary refuses the shard.
  EXPECT_ERROR(ShardReader(fs_, out_, done.shards[0].id, key_), errors::shard_damaged);
}

TEST_F(TokenFiles, NanogptIdsComeBack) {
  Documents documents = some();
  ByteWriter out;
  for (const auto& document : documents) {  // the separator closes each document
    for (const Token id : document) put_id(out, id, 2);
    put_id(out, 50256, 2);
  }
  write("train.bin", out.bytes());
  EXPECT_EQ(read_back(ingest_as(SourceFormat::nanogpt)), sorted(documents));
  out.u8(1);
  write("train.bin", out.bytes());
  EXPECT_ERROR_SAYS(ingest_as(SourceFormat::nanogpt), errors::bad_tokens, "odd size");
}

TEST_F(TokenFiles, DuplicatesAndSplitAreThoseOfText) {
  Documents documents = some();
  documents.push_back(documents[5]);
  documents.push_back({});
  write("a.bin", llmc(documents));
  const DatasetManifest done = ingest_as(SourceFormat::llmc);
  EXPECT_EQ(done.num_documents, 40U);
  EXPECT_EQ(done.num_duplicates, 1U);
  EXPECT_GT(done.num_tokens(Split::validation), 0U);
}

TEST_F(TokenFiles, HostileLlmcFilesAreRefused) {
  const Bytes good = llmc(some());
  const auto expect = [&](Bytes file, const std::string& text) {
    write("a.bin", file);
    EXPECT_ERROR_SAYS(ingest_as(SourceFormat::llmc), errors::bad_tokens, text);
    EXPECT_FALSE(fs_.exists(out_));
  };
  Bytes file = good;
  file.pop_back();
  expect(file, "does not fit");
  file = good;
  file[11] = 0xff;  // the count's highest byte
  expect(file, "does not fit");
  expect(Bytes(good.begin(), good.begin() + 100), "too short");
  file = good;
  file[0] ^= 1U;
  expect(file, "no token file of llm.c");
  file = good;
  file[4] = 7;
  expect(file, "no token file of llm.c");
  file = good;
  file[1026] = 0xff;
  file[1027] = 0xff;
  expect(file, "beyond the vocabulary");
  write("a.bin", good);
  EXPECT_ERROR_SAYS(ingest_as(SourceFormat::llmc, 100, 100), errors::bad_tokens, "separator");
}

TEST_F(TokenFiles, MegatronDocumentsComeBackFromEveryElementType) {
  Documents documents = some();
  const struct {
    std::uint8_t code;
    int width;
  } types[] = {{4, 4}, {5, 8}, {8, 2}};
  for (const auto& type : types) {
    const Pair pair = megatron(documents, type.code, type.width);
    write("d.bin", pair.bin);
    write("d.idx", pair.idx);
    const DatasetManifest done = ingest_as(SourceFormat::megatron, 50257, 7);
    EXPECT_EQ(read_back(done), sorted(documents)) << int{type.code};
  }
}

TEST_F(TokenFiles, HostileIndexesAreRefused) {
  const Pair good = megatron(some());
  const auto expect = [&](const Bytes& idx, const Bytes& bin, const std::string& text) {
    write("d.bin", bin);
    write("d.idx", idx);
    EXPECT_ERROR_SAYS(ingest_as(SourceFormat::megatron, 50257, 7), errors::bad_tokens, text);
  };
  const auto changed = [&](std::size_t at, std::uint8_t to) {
    Bytes idx = good.idx;
    idx[at] = to;
    return idx;
  };
  const std::size_t sequences = good.idx[18] | (std::size_t{good.idx[19]} << 8U);
  const std::size_t lengths = 34;
  const std::size_t pointers = lengths + 4 * sequences;
  const std::size_t boundaries = pointers + 8 * sequences;
  expect(changed(0, 'X'), good.bin, "no index of Megatron");
  expect(changed(9, 2), good.bin, "unknown version");
  expect(changed(17, 6), good.bin, "element type");
  expect(changed(25, 0xff), good.bin, "counts do not fit");  // 2^63 sequences: products would wrap
  expect(changed(33, 0x20), good.bin, "counts do not fit");
  expect(changed(lengths + 3, 0x7f), good.bin, "out of order or range");
  expect(changed(lengths + 3, 0xff), good.bin, "out of order or range");
  expect(changed(pointers + 8, 1), good.bin, "out of order or range");
  expect(changed(boundaries, 1), good.bin, "out of order or range");
  expect(changed(boundaries + 15, 0x70), good.bin, "out of order or range");
  expect(changed(boundaries + 8, 0), good.bin, "no token of text");  // two documents in one
  expect(Bytes(good.idx.begin(), good.idx.end() - 8), good.bin, "counts do not fit");
  expect(Bytes(good.idx.begin(), good.idx.begin() + 20), good.bin, "too short");
  expect(good.idx, Bytes(good.bin.begin(), good.bin.end() - 4), "out of order or range");
  Bytes longer = good.bin;
  longer.insert(longer.end(), 4, 0);
  expect(good.idx, longer, "belong to no document");
  Bytes beyond = good.bin;
  beyond[3] = 0x7f;
  expect(good.idx, beyond, "beyond the vocabulary");
  EXPECT_ERROR_SAYS(ingest_as(SourceFormat::megatron), errors::bad_tokens, "--vocabulary");
}

TEST_F(TokenFiles, MutatedFilesAreRefusedOrConsistent) {
  const Pair good = megatron(some());
  const Bytes llmc_file = llmc(some());
  std::mt19937 random(20261122);
  const auto mutate = [&](Bytes bytes, std::size_t within) {
    bytes[random() % std::min(within, bytes.size())] ^=
        static_cast<std::uint8_t>(1U << (random() % 8));
    return bytes;
  };
  int refused = 0;
  for (int round = 0; round < 300; ++round) {
    const bool index = round % 2 == 0;
    fs_.remove_all(source_);
    write("d.bin", index ? good.bin : mutate(llmc_file, round % 3 == 0 ? 12 : llmc_file.size()));
    if (index) write("d.idx", mutate(good.idx, good.idx.size()));
    try {
      const DatasetManifest done =
          index ? ingest_as(SourceFormat::megatron, 50257, 7) : ingest_as(SourceFormat::llmc);
      std::uint64_t tokens = 0;
      for (const auto& document : read_back(done)) tokens += document.size() + 1;
      ASSERT_EQ(tokens, done.num_tokens(Split::train) + done.num_tokens(Split::validation));
    } catch (const Error& error) {
      ASSERT_EQ(error.exit_code(), ExitCode::data) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace concordat::data
