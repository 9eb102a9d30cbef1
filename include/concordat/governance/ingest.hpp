// Ingest under governance: a source folder becomes an encrypted dataset, and the ledger says what
// was done: name, language, purpose, documents, duplicates dropped, tokens, digests of the shards.
//
//   IngestRecord record = ingest(fs, ledger, {.options = {.name = "german", .source = "corpus/de",
//                                             .folder = "alba/data/german"},
//                                             .language = "de", .purpose = "language model"},
//                                data_key.view(), system_random());
//   record.manifest.num_documents;  record.ledger_index;
//
// Repeatable: killed after the dataset was complete and before its entry was, the same command
// writes the entry. When both stand, it changes nothing and says so (`already_there`).
// Threads: one per dataset folder. Failure: what data::ingest_documents and the ledger throw.
#pragma once

#include <string>

#include "concordat/data/ingest.hpp"
#include "concordat/ledger/ledger.hpp"

namespace concordat::governance {

struct IngestRequest {
  data::IngestOptions options;
  std::string language;  ///< as the operator names it, such as "de"
  std::string purpose;   ///< what the register will hold the data to
};

struct IngestRecord {
  data::DatasetManifest manifest;
  std::uint64_t ledger_index = 0;
  bool already_there = false;  ///< dataset and entry stood before; nothing was written
};

IngestRecord ingest(FileSystem& fs, ledger::Ledger& ledger, const IngestRequest& request,
                    ByteView data_key, crypto::SecureRandom& random);

}  // namespace concordat::governance
