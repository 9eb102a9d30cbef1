// Entries that somebody else made: read into their facts and built again. What comes out must be
// what came in, so there is no second list of fields to keep in step with the builders.
#include "concordat/ledger/entries.hpp"
#include "concordat/ledger/errors.hpp"
#include "ledger/text.hpp"

namespace concordat::ledger {
namespace {

constexpr std::string_view shard_prefix = "shard ";

[[noreturn]] void refuse(std::string what, std::string_view where, std::string found,
                         std::string expected) {
  throw Error(errors::malformed, {.what = std::move(what),
                                  .where = std::string(where),
                                  .found = std::move(found),
                                  .expected = std::move(expected),
                                  .remedy = "entries are made by this program's builders alone"});
}

std::uint64_t number_at(const Entry& entry, std::string_view field, std::string_view where) {
  const auto value = parse_decimal(entry.at(field));
  if (!value)
    refuse(std::string(field) + " is no number", where, entry.at(field), "decimal digits");
  return *value;
}

Digest digest_at(const Entry& entry, std::string_view field, std::string_view where) {
  return digest_from_hex(entry.at(field), std::string(where) + ", field " + std::string(field));
}

Entry ingest_again(const Entry& entry, std::string_view where) {
  IngestFacts facts{.dataset = entry.at("dataset"),
                    .manifest = digest_at(entry, "manifest", where),
                    .language = entry.at("language"),
                    .purpose = entry.at("purpose"),
                    .source = entry.at("source"),
                    .documents = number_at(entry, "documents", where),
                    .duplicates_dropped = number_at(entry, "duplicates_dropped", where),
                    .train_documents = number_at(entry, "train_documents", where),
                    .validation_documents = number_at(entry, "validation_documents", where),
                    .train_tokens = number_at(entry, "train_tokens", where),
                    .validation_tokens = number_at(entry, "validation_tokens", where)};
  for (const auto& [name, value] : entry.fields) {
    if (!name.starts_with(shard_prefix)) continue;
    facts.shards.emplace_back(name.substr(shard_prefix.size()), digest_at(entry, name, where));
  }
  return ingest_entry(facts);
}

Entry checkpoint_again(const Entry& entry, std::string_view where) {
  const std::uint64_t round = number_at(entry, "round", where);
  if (round > UINT32_MAX) refuse("round is out of range", where, entry.at("round"), "32 bits");
  Entry again =
      checkpoint_entry(entry.at("run"), entry.at("generation"), number_at(entry, "step", where),
                       Round(static_cast<std::uint32_t>(round)), digest_at(entry, "state", where),
                       digest_at(entry, "manifest_file", where));
  again.key.insert(0, scope_of(entry.key));
  return again;
}

}  // namespace

void require_as_built(const Entry& entry, std::string_view where) {
  const bool ingest = entry.kind == kinds::ingest;
  if (!ingest && entry.kind != kinds::checkpoint) {
    refuse("entries of this kind are made by the ledger's writer alone", where, entry.kind,
           "ingest or checkpoint");
  }
  const Entry again = ingest ? ingest_again(entry, where) : checkpoint_again(entry, where);
  if (again.key != entry.key) refuse("the key is another entry's", where, entry.key, again.key);
  if (again.fields != entry.fields) {
    refuse("fields of its kind are doubled, missing or out of their order", where,
           std::to_string(entry.fields.size()) + " fields", "as ledger.md lists them");
  }
}

}  // namespace concordat::ledger
