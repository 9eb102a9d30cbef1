#include "concordat/crypto/exchange_secrets.hpp"

#include <gtest/gtest.h>

#include "concordat/crypto/errors.hpp"
#include "support/expect_error.hpp"
#include "support/faulty_files.hpp"
#include "support/fixed_random.hpp"
#include "support/temporary_folder.hpp"

namespace concordat::crypto {
namespace {

class Secrets : public testing::Test {
 protected:
  ExchangeSecrets store(FileSystem* fs = nullptr) {
    return ExchangeSecrets(fs != nullptr ? *fs : fs_, folder_.path() / "secrets", Bytes(32, 3),
                           federation_, random_);
  }
  std::string load(ExchangeSecrets& secrets, const ExchangeId& exchange) {
    auto found = secrets.load(exchange);
    return found ? to_string(found->view()) : "none";
  }
  testing_support::TemporaryFolder folder_;
  testing_support::FixedRandom random_{"secrets"};
  testing_support::FaultyFiles fast_;  // no fault: it only leaves the syncs out
  FileSystem& fs_ = fast_;
  Digest federation_ = Digest{{1, 2, 3}};
  ExchangeId first_{Round(3), Fragment(0), Attempt(0)};
  ExchangeId second_{Round(12), Fragment(0), Attempt(1)};
};

TEST_F(Secrets, LiveUntilTheyAreErased) {
  {
    ExchangeSecrets secrets = store();
    EXPECT_EQ(load(secrets, first_), "none");
    secrets.save(second_, as_bytes("other"));
    secrets.save(first_, as_bytes("seed"));
    secrets.save(first_, as_bytes("seed and frame key"));
  }
  ExchangeSecrets secrets = store();
  EXPECT_EQ(load(secrets, first_), "seed and frame key");
  EXPECT_EQ(secrets.open_exchanges(), std::vector<ExchangeId>({first_, second_}));
  EXPECT_TRUE(secrets.erase(first_));
  EXPECT_FALSE(secrets.erase(first_));
  EXPECT_EQ(load(secrets, first_), "none");
  EXPECT_EQ(fs_.list(folder_.path() / "secrets"), std::vector<std::string>({"exchange-12.0.1"}));
  EXPECT_EQ(fs_.mode(folder_.path() / "secrets" / "exchange-12.0.1"), 0600U);
  EXPECT_EQ(load(secrets, second_), "other");
}

TEST_F(Secrets, DamagedCutRenamedAndForeignFilesDoNotOpen) {
  ExchangeSecrets secrets = store();
  secrets.save(first_, as_bytes("seed"));
  auto path = folder_.path() / "secrets" / "exchange-3.0.0";
  Bytes good = read_file(fs_, path);
  EXPECT_EQ(to_string(good).find("seed"), std::string::npos);
  for (std::uint64_t i = 0; i < good.size(); ++i) {
    testing_support::flip_bit(path, i);
    EXPECT_ERROR_SAYS(secrets.load(first_), errors::open_failed, "exchange-3.0.0");
    testing_support::flip_bit(path, i);
    testing_support::overwrite(path, ByteView(good).first(i));
    EXPECT_ERROR(secrets.load(first_), errors::open_failed);
    testing_support::overwrite(path, good);
  }
  testing_support::overwrite(folder_.path() / "secrets" / "exchange-12.0.1", good);
  EXPECT_ERROR(secrets.load(second_), errors::open_failed);
  ExchangeSecrets other_key(fs_, folder_.path() / "secrets", Bytes(32, 4), federation_, random_);
  EXPECT_ERROR(other_key.load(first_), errors::open_failed);
  ExchangeSecrets other_federation(fs_, folder_.path() / "secrets", Bytes(32, 3), Digest{},
                                   random_);
  EXPECT_ERROR(other_federation.load(first_), errors::open_failed);
}

TEST_F(Secrets, ACrashWhileSavingLeavesTheOldOrTheNew) {
  testing_support::FaultyFiles fs;
  ExchangeSecrets secrets = store(&fs);
  secrets.save(first_, as_bytes("old"));
  fs.fail_at(1000);
  secrets.save(first_, as_bytes("old"));
  const std::uint64_t changes = fs.changes();
  for (std::uint64_t i = 1; i <= changes; ++i) {
    fs.heal();
    secrets.save(first_, as_bytes("old"));
    fs.fail_at(i);
    EXPECT_ERROR(secrets.save(first_, as_bytes("new")), concordat::errors::disk_full);
    fs.heal();
    std::string left = load(secrets, first_);
    EXPECT_TRUE(left == "old" || left == "new") << left;
    EXPECT_EQ(secrets.open_exchanges(), std::vector<ExchangeId>({first_}));
  }
}

}  // namespace
}  // namespace concordat::crypto
