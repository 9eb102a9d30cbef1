#include "concordat/crypto/key_files.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "concordat/crypto/errors.hpp"
#include "support/expect_error.hpp"
#include "support/faulty_files.hpp"
#include "support/fixed_random.hpp"
#include "support/temporary_folder.hpp"

namespace concordat::crypto {
namespace {

using testing_support::FaultyFiles;
using testing_support::flip_bit;

class KeyFiles : public testing::Test {
 protected:
  testing_support::TemporaryFolder folder_;
  testing_support::FixedRandom random_{"key files"};
  testing_support::FaultyFiles fast_;  // no fault: it only leaves the syncs out
  FileSystem& fs_ = fast_;
  std::filesystem::path keys_ = folder_.path() / "keys";
};

TEST_F(KeyFiles, WhatIsMadeIsWhatIsLoaded) {
  PublicKeys made = create_site_keys(fs_, keys_, "alba", random_);
  SiteKeys loaded = load_site_keys(fs_, keys_);
  EXPECT_EQ(loaded.public_keys(), made);
  EXPECT_EQ(load_public_keys(fs_, keys_ / "alba.pub"), made);
  EXPECT_TRUE(constant_time_equal(load_data_key(fs_, keys_).view(), loaded.data_key.view()));
  EXPECT_NE(made.verify, made.tls);
  EXPECT_NE(made.tls, made.log);
  EXPECT_EQ(fs_.mode(keys_), 0700U);
  for (const std::string& name : fs_.list(keys_)) EXPECT_EQ(fs_.mode(keys_ / name), 0600U) << name;
  EXPECT_EQ(fs_.list(keys_).size(), 7U);
}

TEST_F(KeyFiles, KeysAreNeverOverwritten) {
  create_site_keys(fs_, keys_, "alba", random_);
  EXPECT_ERROR_SAYS(create_site_keys(fs_, keys_, "alba", random_),
                    concordat::errors::already_exists, "keys");
}

TEST_F(KeyFiles, OpenPermissionsAreRefused) {
  create_site_keys(fs_, keys_, "alba", random_);
  for (unsigned mode : {0640U, 0604U, 0620U, 0601U}) {
    ::chmod((keys_ / "tls.key").c_str(), mode);
    EXPECT_ERROR_SAYS(load_site_keys(fs_, keys_), errors::open_permissions, "tls.key");
    EXPECT_ERROR_SAYS(load_site_keys(fs_, keys_), errors::open_permissions, "chmod 0600");
  }
  ::chmod((keys_ / "tls.key").c_str(), 0400);
  EXPECT_NO_THROW(load_site_keys(fs_, keys_));
  ::chmod(keys_.c_str(), 0750);
  EXPECT_ERROR_SAYS(load_site_keys(fs_, keys_), errors::open_permissions, "chmod 0700");
}

TEST_F(KeyFiles, FilesOfAnotherUserAreRefused) {
  create_site_keys(fs_, keys_, "alba", random_);
  FaultyFiles other;
  other.extra_owner = 1;
  EXPECT_ERROR_SAYS(load_site_keys(other, keys_), errors::open_permissions, "user id");
}

// Between the check of a path and the opening of the file the path may come to name another one.
TEST_F(KeyFiles, TheFileThatIsReadIsTheOneThatIsChecked) {
  create_site_keys(fs_, keys_, "alba", random_);
  FaultyFiles swapped;
  swapped.extra_mode = 0044;  // of the open files; the paths show 0600
  EXPECT_EQ(swapped.mode(keys_ / "signing.key"), 0600U);
  EXPECT_ERROR_SAYS(load_site_keys(swapped, keys_), errors::open_permissions, "mode 0644");
  EXPECT_ERROR_SAYS(load_data_key(swapped, keys_), errors::open_permissions, "data.key");
}

TEST_F(KeyFiles, AFolderThatOthersMayWriteInIsNoMembersFolder) {
  const auto folder = folder_.path() / "alba";
  EXPECT_EQ(require_own_folder(fs_, folder), folder) << "not there yet";
  fs_.make_directories(folder);
  for (unsigned mode : {0700U, 0750U, 0755U}) {
    ::chmod(folder.c_str(), mode);
    EXPECT_NO_THROW(require_own_folder(fs_, folder)) << mode;
  }
  std::filesystem::create_symlink(folder, folder_.path() / "link");
  for (unsigned mode : {0770U, 0775U, 0757U, 0777U, 01777U}) {
    ::chmod(folder.c_str(), mode);
    EXPECT_ERROR_SAYS(require_own_folder(fs_, folder), errors::open_permissions, "chmod go-w");
    EXPECT_ERROR(require_own_folder(fs_, folder_.path() / "link"), errors::open_permissions);
  }
  ::chmod(folder.c_str(), 0755);
  EXPECT_NO_THROW(require_own_folder(fs_, folder_.path() / "link"));
  FaultyFiles other;
  other.extra_owner = 1;
  EXPECT_ERROR_SAYS(require_own_folder(other, folder), errors::open_permissions, "user id");
}

TEST_F(KeyFiles, EveryFlippedBitOfAKeyFileIsNoticed) {
  create_site_keys(fs_, keys_, "alba", random_);
  auto path = keys_ / "signing.key";
  for (std::uint64_t i = 0; i < fs_.file_size(path); ++i) {
    flip_bit(path, i);
    EXPECT_ERROR_SAYS(load_site_keys(fs_, keys_), errors::bad_key_file, "signing.key");
    flip_bit(path, i);
  }
  EXPECT_NO_THROW(load_site_keys(fs_, keys_));
}

TEST_F(KeyFiles, MissingCutForeignAndMixedFilesAreRefused) {
  create_site_keys(fs_, keys_, "alba", random_);
  create_site_keys(fs_, folder_.path() / "other", "brio", random_);
  EXPECT_ERROR(load_site_keys(fs_, folder_.path() / "none"), concordat::errors::not_found);
  std::string good = read_text(fs_, keys_ / "log.key");
  testing_support::overwrite(keys_ / "log.key", as_bytes(good.substr(0, good.size() - 1)));
  EXPECT_ERROR_SAYS(load_site_keys(fs_, keys_), errors::bad_key_file, "log.key");
  testing_support::overwrite(keys_ / "log.key", as_bytes(good + "more"));
  EXPECT_ERROR_SAYS(load_site_keys(fs_, keys_), errors::bad_key_file, "after the last line");
  testing_support::overwrite(keys_ / "log.key", Bytes(5000));
  EXPECT_ERROR_SAYS(load_site_keys(fs_, keys_), errors::bad_key_file, "log.key");
  testing_support::overwrite(keys_ / "log.key", read_file(fs_, keys_ / "tls.key"));
  EXPECT_ERROR_SAYS(load_site_keys(fs_, keys_), errors::bad_key_file, "another kind");
  testing_support::overwrite(keys_ / "log.key", read_file(fs_, folder_.path() / "other/log.key"));
  EXPECT_ERROR_SAYS(load_site_keys(fs_, keys_), errors::bad_key_file, "site brio");
}

TEST_F(KeyFiles, ErrorsNeverShowTheKey) {
  create_site_keys(fs_, keys_, "alba", random_);
  SiteKeys keys = load_site_keys(fs_, keys_);
  std::string text = read_text(fs_, keys_ / "data.key");
  testing_support::overwrite(keys_ / "data.key", as_bytes(text.substr(0, text.size() - 4)));
  try {
    load_data_key(fs_, keys_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), errors::bad_key_file);
    std::string message = error.what();
    EXPECT_EQ(message.find(to_hex(keys.data_key.view()).substr(0, 8)), std::string::npos);
  }
}

TEST_F(KeyFiles, ACrashWhileMakingKeysLeavesNothingOrEverything) {
  FaultyFiles fs;
  create_site_keys(fs, folder_.path() / "count", "alba", random_);
  const std::uint64_t changes = fs.changes();
  EXPECT_GT(changes, 20U);
  for (std::uint64_t i = 1; i <= changes; ++i) {
    auto path = folder_.path() / ("keys-" + std::to_string(i));
    fs.fail_at(i);
    EXPECT_ERROR(create_site_keys(fs, path, "alba", random_), concordat::errors::disk_full);
    fs.heal();
    if (fs_.exists(path)) {
      EXPECT_NO_THROW(load_site_keys(fs_, path)) << i;
    } else {
      EXPECT_NO_THROW(create_site_keys(fs, path, "alba", random_)) << i;
    }
  }
}

TEST_F(KeyFiles, AnEditedPublicKeyFileIsRefused) {
  create_site_keys(fs_, keys_, "alba", random_);
  std::string text = read_text(fs_, keys_ / "alba.pub");
  EXPECT_NO_THROW(parse_public_keys(text, "alba.pub"));
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string edited = text;
    edited[i] = edited[i] == 'a' ? 'b' : 'a';
    EXPECT_THROW(parse_public_keys(edited, "alba.pub"), Error) << i;
  }
  EXPECT_ERROR_SAYS(parse_public_keys("", "alba.pub"), errors::bad_key_file, "alba.pub");
  EXPECT_ERROR(parse_public_keys(text + "x", "alba.pub"), errors::bad_key_file);
  // The whole text signed by another site's key is another identity, not a forgery of this one.
  create_site_keys(fs_, folder_.path() / "other", "alba", random_);
  EXPECT_NE(load_public_keys(fs_, folder_.path() / "other/alba.pub"),
            parse_public_keys(text, "alba.pub"));
}

// The worked example of docs/formats/keys.md.
TEST_F(KeyFiles, TheDocumentedExampleLoads) {
  fs_.make_directories(keys_);
  testing_support::overwrite(
      keys_ / "data.key",
      as_bytes("concordat key v1\nsite: alba\nkind: data\nsecret: "
               "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
               "check: 056e21f92db1afa9\n"));
  EXPECT_EQ(load_data_key(fs_, keys_).view()[31], 31);
}

TEST_F(KeyFiles, NamesAreBounded) {
  for (const char* good : {"a", "alba-2", "abcdefghijklmnopqrstuvwxyz012345"}) {
    EXPECT_NO_THROW(require_site_name(good, "test")) << good;
  }
  for (const char* bad :
       {"", "A", "2a", "-a", "a b", "a/b", "..", "a.b", "ä", "abcdefghijklmnopqrstuvwxyz0123456"}) {
    EXPECT_ERROR(require_site_name(bad, "test"), concordat::errors::usage);
  }
}

}  // namespace
}  // namespace concordat::crypto
