// Key files, sealed files, journals and secret files: what lies on a disk that others may touch.
#include <gtest/gtest.h>

#include <algorithm>

#include "concordat/crypto/exchange_journal.hpp"
#include "concordat/crypto/exchange_secrets.hpp"
#include "concordat/crypto/key_files.hpp"
#include "concordat/crypto/sealed_file.hpp"
#include "crypto/key_text.hpp"
#include "support/faulty_files.hpp"
#include "support/fixed_random.hpp"
#include "support/hostile.hpp"
#include "support/temporary_folder.hpp"

namespace concordat::crypto {
namespace {

using testing_support::bytes_of;
using testing_support::expect_typed;

class HostileStore : public ::testing::Test {
 protected:
  testing_support::TemporaryFolder folder;
  testing_support::FaultyFiles fast;  // no fault: it only leaves the syncs out
  testing_support::FixedRandom random{"hostile"};
};

/// A variant of a text with a check line that is right again, so that what lies behind it is met.
std::string checked(ByteView bytes) {
  std::string text = to_string(bytes);
  const std::size_t at = text.rfind("check: ");
  if (at == std::string::npos) return text;
  text.resize(at);
  return text + "check: " + text_checksum(text) + "\n";
}

TEST_F(HostileStore, PublicKeys) {
  create_site_keys(fast, folder.path() / "keys", "alba", random);
  const Bytes seed = read_file(fast, folder.path() / "keys" / "alba.pub");
  expect_typed({seed}, [](ByteView bytes) { parse_public_keys(to_string(bytes), "alba.pub"); });
  expect_typed({seed}, [](ByteView bytes) { parse_public_keys(checked(bytes), "alba.pub"); },
               {.cases = 5000});
}

TEST_F(HostileStore, PrivateKeys) {
  create_site_keys(fast, folder.path() / "keys", "alba", random);
  for (const char* kind : {"signing.key", "data.key"}) {
    const auto path = folder.path() / "keys" / kind;
    const Bytes seed = read_file(fast, path);
    const auto load = [&](ByteView bytes) {
      testing_support::overwrite(path, bytes);
      load_site_keys(fast, folder.path() / "keys");
    };
    expect_typed({seed}, load, {.cases = 600});
    expect_typed({seed}, [&](ByteView bytes) { load(as_bytes(checked(bytes))); }, {.cases = 600});
    testing_support::overwrite(path, seed);
  }
}

TEST_F(HostileStore, SealedFiles) {
  const Bytes key(32, 5);
  std::vector<Bytes> seeds;
  for (std::size_t size : {0U, 10U, 3000U}) {
    const auto path = folder.path() / ("sealed-" + std::to_string(size));
    SealedFileWriter writer(fast, path, key, "a test", random, 1024);
    writer.write(Bytes(size, 1));
    writer.finish();
    seeds.push_back(read_file(fast, path));
  }
  const auto path = folder.path() / "variant";
  const auto count = expect_typed(seeds,
                                  [&](ByteView bytes) {
                                    testing_support::overwrite(path, bytes);
                                    SealedFileReader reader(fast, path, key, "a test");
                                    reader.verify_all();
                                    EXPECT_TRUE(std::ranges::any_of(seeds, [&](const Bytes& seed) {
                                      return std::ranges::equal(seed, bytes);
                                    }));
                                  },
                                  {.cases = 2500});
  EXPECT_LT(count.values, 60);
}

TEST_F(HostileStore, Journals) {
  const auto path = folder.path() / "journal";
  {
    auto journal = ExchangeJournal::open(fast, path, [](const JournalRecord&) {});
    for (std::uint8_t i = 1; i < 6; ++i) journal.append(Bytes(i * 7U, i));
  }
  const Bytes seed = read_file(fast, path);
  const auto variant = folder.path() / "variant";
  expect_typed({seed},
               [&](ByteView bytes) {
                 testing_support::overwrite(variant, bytes);
                 std::uint64_t count = 0;
                 auto journal = ExchangeJournal::open(fast, variant, [&](const JournalRecord& one) {
                   EXPECT_EQ(one.index, count++);
                   // A record that is shown is one that was written, in its place.
                   EXPECT_EQ(one.body.size(), count * 7U);
                 });
                 EXPECT_EQ(journal.num_records(), count);
               },
               {.cases = 2500});
}

TEST_F(HostileStore, SecretsOfAnExchange) {
  const Digest federation = Digest{};
  ExchangeSecrets secrets(fast, folder.path() / "secrets", Bytes(32, 9), federation, random);
  const ExchangeId exchange{Round{2}, {}, {}};
  secrets.save(exchange, Bytes(100, 3));
  const std::string name = fast.list(folder.path() / "secrets").front();
  const auto path = folder.path() / "secrets" / name;
  const Bytes seed = read_file(fast, path);
  const auto count =
      expect_typed({seed},
                   [&](ByteView bytes) {
                     testing_support::overwrite(path, bytes);
                     const auto found = secrets.load(exchange);
                     EXPECT_TRUE(found && std::ranges::equal(found->view(), Bytes(100, 3)));
                   },
                   {.cases = 2000});
  EXPECT_LT(count.values, 60);
}

}  // namespace
}  // namespace concordat::crypto
