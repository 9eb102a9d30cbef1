// Ingest under governance: a source folder becomes an encrypted dataset, and the ledger says what
// was done: name, language, purpose, documents, duplicates dropped, tokens, digests of the shards.
//
//   auto record = [&](const ledger::Entry& entry) { return recorder.record(entry); };
//   IngestRecord done = ingest(fs, record, {.options = {.name = "german", .source = "corpus/de",
//                                                       .folder = "alba/data/german"},
//                                           .language = "de", .purpose = "language model"},
//                              data_key.view(), system_random());
//   done.manifest.num_documents;  done.entry->index;
//
// Repeatable: killed after the dataset was complete and before its entry was, the same command
// writes the entry. When both stand, it changes nothing and says so (`already_there`).
// Threads: one per dataset folder. Failure: what data::ingest_documents and `record` throw.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "concordat/data/ingest.hpp"
#include "concordat/ledger/hand_over.hpp"

namespace concordat::governance {

struct IngestRequest {
  data::IngestOptions options;
  std::string language;  ///< as the operator names it, such as "de"
  std::string purpose;   ///< what the register will hold the data to
};

struct IngestRecord {
  data::DatasetManifest manifest;
  std::optional<ledger::Answer> entry;  ///< nullopt: handed over, and nobody waited for its index
  bool already_there = false;           ///< dataset and entry stood before; nothing was written
};

/// Gets an entry into the ledger; nullopt if it is durable with the ledger's writer but not yet in.
using RecordEntry = std::function<std::optional<ledger::Answer>(const ledger::Entry&)>;

IngestRecord ingest(FileSystem& fs, const RecordEntry& record, const IngestRequest& request,
                    ByteView data_key, crypto::SecureRandom& random);

}  // namespace concordat::governance
