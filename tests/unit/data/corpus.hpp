// Folders of small documents for the tests of data.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "concordat/crypto/hash.hpp"
#include "concordat/data/ingest.hpp"
#include "support/faulty_files.hpp"
#include "support/fixed_random.hpp"
#include "support/temporary_folder.hpp"

namespace concordat::data {

class CorpusTest : public testing::Test {
 protected:
  void put(const std::string& name, std::string_view text) {
    fs_.make_directories((source_ / name).parent_path());
    testing_support::overwrite(source_ / name, as_bytes(text));
  }
  /// `count` documents of differing lengths, all distinct.
  void put_many(int count) {
    for (int i = 0; i < count; ++i) {
      std::string text = "Dokument " + std::to_string(i) + ": ";
      for (int j = 0; j < 20 + i % 7; ++j)
        text += "wörter und zahlen " + std::to_string(i * j) + "\n";
      put("doc-" + std::to_string(i) + ".txt", text);
    }
  }
  IngestOptions options() {
    return {.name = "german",
            .source = source_,
            .folder = folder_.path() / "data" / "german",
            .validation_permille = 200,
            .shard_tokens = 4000,
            .progress = {}};
  }
  DatasetManifest ingest(FileSystem* fs = nullptr) {
    return ingest_documents(fs != nullptr ? *fs : fs_, options(), key_, random_);
  }

  testing_support::TemporaryFolder folder_;
  testing_support::FixedRandom random_{"corpus"};
  testing_support::FaultyFiles fast_;  // no fault: it only leaves the syncs out
  FileSystem& fs_ = fast_;
  std::filesystem::path source_ = folder_.path() / "source";
  std::filesystem::path out_ = folder_.path() / "data" / "german";
  Bytes key_ = Bytes(32, 7);
};

}  // namespace concordat::data
