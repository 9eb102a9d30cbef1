#include "site/run_folder.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "concordat/core/error.hpp"
#include "concordat/crypto/errors.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/site/errors.hpp"
#include "support/expect_error.hpp"
#include "support/faulty_files.hpp"

namespace concordat::site {
namespace {

const ExchangeId exchange{Round{3}, {}, {}};
constexpr std::string_view nonce = "00112233445566778899aabbccddeeff";

Digest digest_of(std::string_view text) { return crypto::sha256(as_bytes(text)); }

class RunFolderTest : public ::testing::Test {
 protected:
  static std::string make_root() {
    std::string pattern = testing::TempDir() + "run-XXXXXX";
    return ::mkdtemp(pattern.data());
  }
  ~RunFolderTest() override { fs.remove_all(root); }

  CommitRecord commit() const {
    CommitRecord record;
    record.try_nonce = nonce;
    record.manifest = digest_of("manifest");
    record.state_digest = digest_of("state");
    record.block_log2 = 14;
    record.num_elements = 40000;  // 3 blocks
    record.generation = "step-000120";
    record.ranges = {{0, 2}, {2, 3}, {3, 3}};
    record.leaves = {digest_of("a"), digest_of("b"), digest_of("c")};
    record.weight_leaf = digest_of("w");
    return record;
  }
  RankSecrets secrets() const {
    RankSecrets result;
    result.federation = digest_of("federation");
    result.manifest = digest_of("manifest");
    result.own = SiteId{1};
    result.participants = {SiteId{0}, SiteId{1}, SiteId{2}};
    result.seeds.add(SiteId{0}, crypto::SecretBytes::copy_of(digest_of("0").view()));
    result.seeds.add(SiteId{2}, crypto::SecretBytes::copy_of(digest_of("2").view()));
    result.rounding_key = crypto::SecretBytes::copy_of(digest_of("r").view());
    return result;
  }

  /// Replaces the first `from` in COMMIT and returns the error of reading it.
  Error read_changed_commit(std::string_view from, std::string_view to) {
    const auto path = folder.outbox(exchange) / "COMMIT";
    std::string text = read_text(fs, path);
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    write_atomically(fs, path, as_bytes(text.replace(at, from.size(), to)));
    try {
      (void)folder.read_commit(exchange);
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << from << " -> " << to << " was accepted";
    return Error(errors::bad_run_file, {});
  }

  testing_support::FaultyFiles fs;
  FileSystem::Path root = make_root();
  RunFolder folder{fs, root};
};

TEST_F(RunFolderTest, RoundTripsEveryRecord) {
  const KeyFile key{crypto::SealKey{digest_of("key").bytes}, digest_of("state"), 2, "none"};
  folder.write_key(exchange, nonce, key);
  EXPECT_EQ(folder.key_nonces(exchange), std::vector<std::string>{std::string(nonce)});
  EXPECT_EQ(folder.read_key(exchange, nonce), key);
  EXPECT_FALSE(folder.has_commit(exchange));
  EXPECT_FALSE(folder.read_commit(exchange));
  folder.write_commit(exchange, commit());
  EXPECT_EQ(folder.read_commit(exchange), commit());
  EXPECT_FALSE(folder.read_closed(exchange));
  const ClosedRecord closed{digest_of("manifest"), {SiteId{0}, SiteId{2}}, 77, digest_of("root")};
  folder.write_closed(exchange, closed);
  folder.write_closed(exchange, closed);
  EXPECT_EQ(folder.read_closed(exchange), closed);
  ClosedRecord missed = closed;
  missed.state_digest = digest_of("state");
  missed.took_part = false;
  folder.write_closed(exchange, missed);
  EXPECT_EQ(folder.read_closed(exchange), missed);
  folder.remove_exchange(exchange);
  EXPECT_FALSE(folder.has_closed(exchange));
  EXPECT_TRUE(folder.key_nonces(exchange).empty());
}

TEST_F(RunFolderTest, CommitsOnce) {
  folder.write_key(exchange, nonce, {crypto::SealKey{}, {}, 1, "none"});
  folder.write_commit(exchange, commit());
  CommitRecord other = commit();
  other.weight_leaf = digest_of("other");
  try {
    folder.write_commit(exchange, other);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), concordat::errors::already_exists);
  }
  EXPECT_EQ(folder.read_commit(exchange), commit());
  EXPECT_THROW(folder.remove_tries(exchange), Bug);
}

TEST_F(RunFolderTest, SecretsOpenOnlyForTheKeyExchangeAndNonceTheyWereSealedTo) {
  const auto key = crypto::OpeningKey::generate(crypto::system_random());
  const Bytes sealed =
      seal_secrets(exchange, nonce, key.seal_key(), secrets(), crypto::system_random());
  EXPECT_FALSE(folder.read_secrets(exchange, nonce));
  folder.write_secrets(exchange, nonce, sealed);
  const RankSecrets opened =
      open_secrets(exchange, nonce, key, *folder.read_secrets(exchange, nonce));
  EXPECT_EQ(opened.own, SiteId{1});
  EXPECT_EQ(opened.participants, secrets().participants);
  EXPECT_EQ(opened.seeds.size(), 2U);
  EXPECT_EQ(to_hex(opened.rounding_key.view()), digest_of("r").hex());
  const ExchangeId next{Round{4}, {}, {}};
  EXPECT_ERROR(open_secrets(next, nonce, key, sealed), crypto::errors::open_failed);
  EXPECT_ERROR(open_secrets(exchange, make_nonce(crypto::system_random()), key, sealed),
               crypto::errors::open_failed);
  const auto other = crypto::OpeningKey::generate(crypto::system_random());
  EXPECT_ERROR(open_secrets(exchange, nonce, other, sealed), crypto::errors::open_failed);
  folder.erase_secrets(exchange);
  EXPECT_FALSE(folder.has_secrets(exchange, nonce));
}

TEST_F(RunFolderTest, RefusesSecretsThatAreCutOrLonger) {
  const crypto::SecretBytes plain = encode_secrets(secrets());
  for (std::size_t size = 0; size < plain.size(); ++size) {
    EXPECT_ERROR(decode_secrets(plain.view().first(size)), concordat::errors::malformed);
  }
  Bytes longer(plain.view().begin(), plain.view().end());
  longer.push_back(0);
  EXPECT_ERROR(decode_secrets(longer), concordat::errors::malformed);
}

TEST_F(RunFolderTest, NamesTheLineOfAnEditedCommit) {
  folder.write_key(exchange, nonce, {crypto::SealKey{}, {}, 1, "none"});
  folder.write_commit(exchange, commit());
  const std::pair<const char*, const char*> edits[] = {{"concordat commit 1", "concordat commit 2"},
                                                       {"exchange = 3.0.0", "exchange = 4.0.0"},
                                                       {"lane_bits = 16", "lane_bits = 12"},
                                                       {"num_elements = 40000", "num_elements = 4"},
                                                       {"num_ranks = 3", "num_ranks = 2"},
                                                       {"range = 2 3", "range = 1 3"},
                                                       {"range = 0 2", "range = 0 -2"},
                                                       {"block = ", "block_ = "},
                                                       {"weight = ", "weight = 00"},
                                                       {"step-000120", "../escape"}};
  const std::string original = read_text(fs, folder.outbox(exchange) / "COMMIT");
  for (const auto& [from, to] : edits) {
    const Error error = read_changed_commit(from, to);
    EXPECT_NE(std::string(error.what()).find("COMMIT"), std::string::npos) << error.what();
    write_atomically(fs, folder.outbox(exchange) / "COMMIT", as_bytes(original));
  }
  // Cut anywhere, also between lines.
  for (std::size_t size = 0; size < original.size(); size += 7) {
    write_atomically(fs, folder.outbox(exchange) / "COMMIT",
                     as_bytes(std::string_view(original).substr(0, size)));
    EXPECT_ERROR((void)folder.read_commit(exchange), errors::bad_run_file);
  }
}

TEST_F(RunFolderTest, IsRefusedWhenOthersCouldReadIt) {
  ::chmod(root.c_str(), 0750);
  try {
    const RunFolder open(fs, root);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), errors::open_run_folder);
    EXPECT_EQ(error.exit_code(), ExitCode::usage);
    EXPECT_NE(std::string(error.what()).find("0750"), std::string::npos);
  }
}

TEST_F(RunFolderTest, AFileInThePlaceOfAFolderIsNamed) {
  fs.remove_all(root / "outbox");
  write_atomically(fs, root / "outbox", as_bytes("x"));
  EXPECT_ERROR_SAYS(RunFolder(fs, root), errors::bad_run_file, "outbox");
}

TEST_F(RunFolderTest, TriesAreRemovedTogether) {
  fs.make_directories(folder.try_folder(exchange, nonce));
  write_atomically(fs, folder.blocks_file(exchange, nonce, 0), as_bytes("x"));
  folder.remove_tries(exchange);
  EXPECT_FALSE(fs.exists(folder.try_folder(exchange, nonce)));
}

TEST(BlockBytes, AreWholeLanesAndTheLastBlockIsShorter) {
  EXPECT_EQ(block_bytes(40000, 14, exact::Lane::u16, 0), 32768U);
  EXPECT_EQ(block_bytes(40000, 14, exact::Lane::u32, 2), 4U * (40000 - 32768));
  EXPECT_THROW(block_bytes(40000, 14, exact::Lane::u8, 3), Bug);
}

}  // namespace
}  // namespace concordat::site
