// A ledger in a temporary folder with a fixed key and a clock that the test moves.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "concordat/core/clock.hpp"
#include "concordat/core/file.hpp"
#include "concordat/ledger/ledger.hpp"
#include "concordat/ledger/verify.hpp"
#include "support/faulty_files.hpp"
#include "support/temporary_folder.hpp"

namespace concordat::ledger::testing {

class FixedClock final : public Clock {
 public:
  std::chrono::nanoseconds monotonic() const override { return std::chrono::seconds(now); }
  std::int64_t unix_seconds() const override { return now; }
  void sleep(std::chrono::nanoseconds duration) override {
    now += std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  }
  std::int64_t now = 1'760'000'000;
};

class LedgerTest : public ::testing::Test {
 protected:
  LedgerTest()
      : folder(temporary.path() / "ledger"),
        key(crypto::SigningKey::from_seed(Bytes(32, 7))),
        other_key(crypto::SigningKey::from_seed(Bytes(32, 8))) {}

  Ledger open() { return Ledger::open(files, folder, origin, key, clock); }
  LogReading read() { return read_log(posix_files(), folder, origin, key.verify_key()); }
  std::string log_text() { return read_text(posix_files(), folder / "log.jsonl"); }
  void write_log(std::string_view text) {
    auto file = posix_files().open(folder / "log.jsonl", OpenMode::truncate);
    file->write(as_bytes(text));
  }
  /// A ledger with `count` entries and a checkpoint over all of them.
  void fill(int count) {
    Ledger ledger = open();
    for (int i = 0; i < count; ++i) ledger.append(note(i));
    ledger.checkpoint();
  }
  static Entry note(int i, std::string text = "value") {
    return {"state",
            "state/" + std::to_string(i),
            {{"round", std::to_string(i)}, {"text", std::move(text)}}};
  }

  std::string origin = "concordat/alba/01020304";
  testing_support::FaultyFiles files;
  testing_support::TemporaryFolder temporary;
  std::filesystem::path folder;
  crypto::SigningKey key;
  crypto::SigningKey other_key;
  FixedClock clock;
};

/// The code of the Error that `act` throws; "none" if it throws none.
template <typename Act>
std::string code_of(Act act) {
  try {
    act();
  } catch (const Error& error) {
    return std::string(error.code().name);
  }
  return "none";
}

}  // namespace concordat::ledger::testing
