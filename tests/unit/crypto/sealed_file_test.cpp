#include "concordat/crypto/sealed_file.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "concordat/crypto/errors.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/crypto/keystream.hpp"
#include "support/expect_error.hpp"
#include "support/faulty_files.hpp"
#include "support/fixed_random.hpp"
#include "support/temporary_folder.hpp"

namespace concordat::crypto {
namespace {

using testing_support::FaultyFiles;
using testing_support::flip_bit;
constexpr std::uint32_t chunk = 1024;
constexpr std::uint64_t header_bytes = 48 + 4 + 48 + 32;  // with the purpose "test"

Bytes text_of(std::size_t size) {
  Bytes bytes(size);
  CtrKeystream(Bytes(32, 1)).generate(bytes);
  return bytes;
}

class SealedFile : public testing::Test {
 protected:
  Digest write(const std::string& name, ByteView plain, FileSystem* fs = nullptr) {
    SealedFileWriter out(fs != nullptr ? *fs : fs_, folder_.path() / name, key_, "test", random_,
                         chunk);
    out.write(plain.first(plain.size() / 3));
    out.write(plain.subspan(plain.size() / 3));
    return out.finish();
  }
  SealedFileReader open(const std::string& name) {
    return SealedFileReader(fs_, folder_.path() / name, key_, "test");
  }
  Bytes read_all(const std::string& name) {
    SealedFileReader in = open(name);
    Bytes out(in.size());
    in.read_at(0, out);
    return out;
  }
  testing_support::TemporaryFolder folder_;
  testing_support::FixedRandom random_{"sealed file"};
  testing_support::FaultyFiles fast_;  // no fault: it only leaves the syncs out
  FileSystem& fs_ = fast_;
  Bytes key_ = Bytes(32, 42);
};

TEST_F(SealedFile, EverySizeAroundTheChunkComesBack) {
  for (std::size_t size : {0U, 1U, 1023U, 1024U, 1025U, 2047U, 2048U, 2049U, 10'000U}) {
    std::string name = "file-" + std::to_string(size);
    Bytes plain = text_of(size);
    Digest digest = write(name, plain);
    EXPECT_EQ(digest, sha256(read_file(fs_, folder_.path() / name)));
    SealedFileReader in = open(name);
    EXPECT_EQ(in.size(), size);
    EXPECT_EQ(in.num_chunks(), std::max<std::uint64_t>(1, (size + chunk - 1) / chunk));
    EXPECT_EQ(read_all(name), plain);
    in.verify_all();
    EXPECT_EQ(fs_.mode(folder_.path() / name), 0600U);
  }
}

TEST_F(SealedFile, ReadsAnyPieceInAnyOrder) {
  Bytes plain = text_of(5000);
  write("file", plain);
  SealedFileReader in = open("file");
  for (std::uint64_t at : {4999U, 0U, 1023U, 1024U, 3000U, 1U}) {
    for (std::size_t size : {0U, 1U, 700U, 1024U, 2000U}) {
      if (at + size > plain.size()) continue;
      Bytes piece(size);
      in.read_at(at, piece);
      EXPECT_TRUE(std::equal(piece.begin(), piece.end(), plain.begin() + static_cast<long>(at)));
    }
  }
  Bytes piece(2);
  EXPECT_THROW(in.read_at(4999, piece), Bug);
  EXPECT_THROW(in.read_at(~0ULL, piece), Bug);
}

TEST_F(SealedFile, OneFlippedBitAnywhereIsRefused) {
  write("file", text_of(2500));
  auto path = folder_.path() / "file";
  const std::uint64_t size = fs_.file_size(path);
  for (std::uint64_t i = 0; i < size; i += i < header_bytes ? 1 : 13) {
    flip_bit(path, i);
    EXPECT_ERROR_SAYS(open("file").verify_all(), errors::sealed_file_damaged, path.string());
    flip_bit(path, i);
  }
  flip_bit(path, header_bytes + chunk + 16 + 5);
  EXPECT_ERROR_SAYS(open("file").verify_all(), errors::sealed_file_damaged, "chunk 1 ");
  Bytes before(1000);
  EXPECT_NO_THROW(open("file").read_at(0, before));  // other chunks stay readable
}

TEST_F(SealedFile, EveryCutAndAnyTailIsRefused) {
  Bytes plain = text_of(3000);
  write("file", plain);
  Bytes sealed = read_file(fs_, folder_.path() / "file");
  for (std::size_t size = 0; size < sealed.size(); size += (size % 1040 < 4 ? 1 : 97)) {
    testing_support::overwrite(folder_.path() / "cut", ByteView(sealed).first(size));
    EXPECT_ERROR(open("cut"), errors::sealed_file_damaged);
  }
  // Exactly at the end of a chunk, where every remaining tag is right.
  testing_support::overwrite(folder_.path() / "cut",
                             ByteView(sealed).first(header_bytes + 2 * (chunk + 16)));
  EXPECT_ERROR_SAYS(open("cut"), errors::sealed_file_damaged, "chunk 1 ");
  for (std::size_t extra : {1U, 16U, 1040U}) {
    Bytes longer = sealed;
    longer.resize(sealed.size() + extra);
    testing_support::overwrite(folder_.path() / "longer", longer);
    EXPECT_ERROR(open("longer").verify_all(), errors::sealed_file_damaged);
  }
}

TEST_F(SealedFile, SwappedChunksAndChunksOfAnotherFileAreRefused) {
  write("one", text_of(4000));
  write("two", text_of(4000));
  Bytes one = read_file(fs_, folder_.path() / "one");
  Bytes two = read_file(fs_, folder_.path() / "two");
  EXPECT_NE(Bytes(one.begin() + header_bytes, one.end()),
            Bytes(two.begin() + header_bytes, two.end()));  // a fresh key for each file
  Bytes swapped = one;
  std::swap_ranges(swapped.begin() + header_bytes, swapped.begin() + header_bytes + chunk + 16,
                   swapped.begin() + header_bytes + chunk + 16);
  testing_support::overwrite(folder_.path() / "swapped", swapped);
  EXPECT_ERROR_SAYS(open("swapped").verify_all(), errors::sealed_file_damaged, "chunk 0 ");
  Bytes mixed = one;
  std::copy_n(two.begin() + header_bytes, chunk + 16, mixed.begin() + header_bytes);
  testing_support::overwrite(folder_.path() / "mixed", mixed);
  EXPECT_ERROR_SAYS(open("mixed").verify_all(), errors::sealed_file_damaged, "chunk 0 ");
}

TEST_F(SealedFile, WrongKeyAndWrongPurposeAreRefused) {
  write("file", text_of(100));
  EXPECT_ERROR_SAYS(SealedFileReader(fs_, folder_.path() / "file", Bytes(32, 41), "test"),
                    errors::sealed_file_damaged, "another data key");
  EXPECT_ERROR_SAYS(SealedFileReader(fs_, folder_.path() / "file", key_, "tesT"),
                    errors::sealed_file_damaged, "purpose");
  EXPECT_ERROR_SAYS(SealedFileReader(fs_, folder_.path() / "file", key_, "longer test"),
                    errors::sealed_file_damaged, "purpose");
  EXPECT_ERROR(SealedFileReader(fs_, folder_.path() / "none", key_, "test"),
               concordat::errors::not_found);
}

TEST_F(SealedFile, NothingIsReplaced) {
  write("file", text_of(10));
  EXPECT_ERROR(write("file", text_of(20)), concordat::errors::already_exists);
  EXPECT_EQ(read_all("file"), text_of(10));
  EXPECT_EQ(fs_.list(folder_.path()).size(), 1U);
}

TEST_F(SealedFile, AFullDiskLeavesNoFileOfThatNameAndNoPlaintext) {
  std::string secret = "PLAINTEXT-PLAINTEXT-PLAINTEXT";
  Bytes plain;
  while (plain.size() < 3000) plain.insert(plain.end(), secret.begin(), secret.end());
  FaultyFiles fs;
  write("count", plain, &fs);
  const std::uint64_t changes = fs.changes();
  for (std::uint64_t i = 1; i <= changes; ++i) {
    std::string name = "file-" + std::to_string(i);
    fs.fail_at(i);
    EXPECT_ERROR(write(name, plain, &fs), concordat::errors::disk_full);
    fs.heal();
    if (fs_.exists(folder_.path() / name)) {
      EXPECT_EQ(read_all(name), plain);
    } else {
      write(name, plain, &fs);  // what the crash left does not stand in the way
    }
  }
  for (const std::string& name : fs_.list(folder_.path())) {
    std::string bytes = to_string(read_file(fs_, folder_.path() / name));
    EXPECT_EQ(bytes.find("PLAINTEXT"), std::string::npos) << name;
  }
}

TEST_F(SealedFile, AnAbandonedWriterLeavesNothing) {
  { SealedFileWriter out(fs_, folder_.path() / "file", key_, "test", random_); }
  EXPECT_TRUE(fs_.list(folder_.path()).empty());
}

// The worked example of docs/formats/sealed-file.md, byte for byte.
TEST_F(SealedFile, BytesOfTheDocumentedExample) {
  Bytes given(64);
  for (std::size_t i = 0; i < 64; ++i) given[i] = static_cast<std::uint8_t>(i);
  testing_support::GivenRandom random(given);
  SealedFileWriter out(fs_, folder_.path() / "file", Bytes(32), "test", random, chunk);
  out.write(as_bytes("hello"));
  out.finish();
  EXPECT_EQ(to_hex(read_file(fs_, folder_.path() / "file")),
            "434e435345414c3100040000"
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0400000074657374"
            "a53efb31b9de2acba8e36f7352642ac78071b549e32848cd4cda7d5421dab8b4"
            "9a3c0c4a86a466df8e1c7d0dfa7d6d0b"
            "f8304f0190273ea9dcd4f930121d954444274c9512265cd5b79b477b9ff7cc8f"
            "c66b9c7325dcac4346d3d441f83efe389d88e003eb");
}

}  // namespace
}  // namespace concordat::crypto
