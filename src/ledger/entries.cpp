// Builders of entries that are no crossings.
#include "concordat/ledger/entries.hpp"

#include <algorithm>

#include "concordat/crypto/hash.hpp"

namespace concordat::ledger {
namespace {

constexpr std::size_t scope_length = 17;  // sixteen hex digits and a slash

/// Refusals of different content are different entries: the key is made of the content.
std::string content_key(std::string_view kind, const Fields& fields) {
  crypto::Sha256 hash;
  for (const auto& [name, value] : fields) {
    hash.update(as_bytes(name)).update(as_bytes(std::string_view("\0", 1)));
    hash.update(as_bytes(value)).update(as_bytes(std::string_view("\0", 1)));
  }
  return std::string(kind) + "/" + hash.finish().hex().substr(0, 16);
}

std::string number(std::uint64_t value) { return std::to_string(value); }

}  // namespace

Entry agreement_entry(const AgreementFacts& facts) {
  return {.kind = std::string(kinds::agreement),
          .key = "agreement/" + facts.agreement.hex(),
          .fields = {{"federation", facts.federation.hex()},
                     {"roster", facts.roster.hex()},
                     {"agreement", facts.agreement.hex()},
                     {"initial_state", facts.initial_state.hex()},
                     {"self", facts.self},
                     {"name", facts.name}}};
}

std::string run_scope(const Digest& agreement) {
  return agreement.hex().substr(0, scope_length - 1) + "/";
}

std::string_view scope_of(std::string_view key) {
  if (key.size() <= scope_length || key[scope_length - 1] != '/') return {};
  const std::string_view scope = key.substr(0, scope_length);
  return scope.find_first_not_of("0123456789abcdef") == scope_length - 1 ? scope : "";
}

Entry state_entry(Round round, const Digest& state, std::string_view generation) {
  return {.kind = std::string(kinds::state),
          .key = "state/" + number(round.value()),
          .fields = {{"round", number(round.value())},
                     {"state", state.hex()},
                     {"generation", std::string(generation)}}};
}

Entry commit_entry(const CommitFacts& facts) {
  return {.kind = std::string(kinds::commit),
          .key = "commit/" + facts.exchange.text(),
          .fields = {{"exchange", facts.exchange.text()},
                     {"manifest", facts.manifest.hex()},
                     {"root", facts.root.hex()},
                     {"num_blocks", number(facts.num_blocks)},
                     {"num_ranks", number(facts.num_ranks)},
                     {"lane_bits", number(facts.lane_bits)},
                     {"try", facts.try_nonce},
                     {"generation", facts.generation}}};
}

Entry checkpoint_entry(std::string_view run, std::string_view generation, std::uint64_t step,
                       Round round, const Digest& state, const Digest& manifest_file) {
  return {.kind = std::string(kinds::checkpoint),
          .key = "checkpoint/" + std::string(run) + "/" + std::string(generation) + "/" +
                 manifest_file.hex().substr(0, 16),
          .fields = {{"run", std::string(run)},
                     {"generation", std::string(generation)},
                     {"step", number(step)},
                     {"round", number(round.value())},
                     {"state", state.hex()},
                     {"manifest_file", manifest_file.hex()}}};
}

Entry ingest_entry(const IngestFacts& facts) {
  Entry entry{.kind = std::string(kinds::ingest),
              .key = "ingest/" + facts.dataset + "/" + facts.manifest.hex().substr(0, 16),
              .fields = {{"dataset", facts.dataset},
                         {"manifest", facts.manifest.hex()},
                         {"language", facts.language},
                         {"purpose", facts.purpose},
                         {"source", facts.source},
                         {"documents", number(facts.documents)},
                         {"duplicates_dropped", number(facts.duplicates_dropped)},
                         {"train_documents", number(facts.train_documents)},
                         {"validation_documents", number(facts.validation_documents)},
                         {"train_tokens", number(facts.train_tokens)},
                         {"validation_tokens", number(facts.validation_tokens)}}};
  for (const auto& [file, digest] : facts.shards) {
    entry.fields.emplace_back("shard " + file, digest.hex());
  }
  return entry;
}

Entry decision_entry(const Decision& decision) {
  Fields fields{{"id", decision.id},
                {"type", name_of(decision.kind)},
                {"exchange", decision.exchange.text()},
                {"manifest", decision.manifest.hex()},
                {"to", party(decision.recipient)},
                {"max_bytes", number(decision.max_bytes)},
                {"rule", decision.rule},
                {"reason", decision.reason}};
  if (decision.permitted) {
    return {std::string(kinds::decision), "decision/" + decision.id, std::move(fields)};
  }
  std::string key = content_key(kinds::refusal, fields);
  return {std::string(kinds::refusal), std::move(key), std::move(fields)};
}

Entry refusal_entry(std::string_view subject, std::string_view code, std::string_view reason) {
  Fields fields{{"subject", std::string(subject)},
                {"rule", std::string(code)},
                {"reason", std::string(reason)}};
  std::string key = content_key(kinds::refusal, fields);
  return {std::string(kinds::refusal), std::move(key), std::move(fields)};
}

std::string log_origin(std::string_view name, const crypto::VerifyKey& log_key) {
  return "concordat/" + std::string(name) + "/" + log_key.hex().substr(0, 8);
}

std::string parties(std::span<const SiteId> ids) {
  std::vector<SiteId> sorted(ids.begin(), ids.end());
  std::sort(sorted.begin(), sorted.end());
  std::string text;
  for (const SiteId id : sorted) {
    if (!text.empty()) text += ',';
    text += party(id);
  }
  return text;
}

std::vector<SiteId> parties_from(std::string_view text, std::string_view where) {
  std::vector<SiteId> ids;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    ids.push_back(party_from(text.substr(0, comma), where));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return ids;
}

}  // namespace concordat::ledger
