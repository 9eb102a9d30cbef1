#include "concordat/governance/ingest.hpp"

#include "concordat/ledger/entries.hpp"

namespace concordat::governance {
namespace {

ledger::IngestFacts facts_of(const IngestRequest& request, const data::DatasetManifest& manifest) {
  ledger::IngestFacts facts{.dataset = manifest.name,
                            .manifest = manifest.digest(),
                            .language = request.language,
                            .purpose = request.purpose,
                            .source = request.options.source.string(),
                            .documents = manifest.num_documents,
                            .duplicates_dropped = manifest.num_duplicates,
                            .train_tokens = manifest.num_tokens(data::Split::train),
                            .validation_tokens = manifest.num_tokens(data::Split::validation)};
  for (const data::ShardInfo& shard : manifest.shards) {
    (shard.id.split == data::Split::train ? facts.train_documents : facts.validation_documents) +=
        shard.num_documents;
    facts.shards.emplace_back(shard.id.file_name(), shard.digest);
  }
  return facts;
}

}  // namespace

IngestRecord ingest(FileSystem& fs, const RecordEntry& record, const IngestRequest& request,
                    ByteView data_key, crypto::SecureRandom& random) {
  // The folder appears complete or not at all. If it is there, an earlier call made it and may
  // have been killed before its entry: the entry follows from the manifest alone.
  const bool complete = fs.exists(request.options.folder);
  IngestRecord done;
  done.manifest = complete ? data::load_manifest(fs, request.options.folder, data_key)
                           : data::ingest_documents(fs, request.options, data_key, random);
  // With an entry there this is the check that the request is the one of then.
  done.entry = record(ledger::ingest_entry(facts_of(request, done.manifest)));
  done.already_there = complete && done.entry && done.entry->found;
  return done;
}

}  // namespace concordat::governance
