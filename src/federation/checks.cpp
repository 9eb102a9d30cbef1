#include "federation/checks.hpp"

#include <algorithm>
#include <map>

#include "concordat/crypto/merkle.hpp"

namespace concordat::federation {
namespace {

std::string remedy_of(const ErrorCode& code) {
  if (code == errors::out_of_turn) return "the sender repeats it later";
  if (code == errors::state_differs) return "restore the named site from its newest generation";
  if (code == errors::ledger_forked) return "audit the named site's ledger before going on";
  return "nothing was released or changed; ask the named party, the evidence is in the ledger";
}

std::string short_hex(const Digest& digest) { return digest.hex().substr(0, 16); }

}  // namespace

void refuse(const ErrorCode& code, const ExchangeTerms& terms, std::string what, std::string found,
            std::string expected) {
  throw Error(code, {.what = std::move(what),
                     .where = "exchange " + terms.exchange.text(),
                     .found = std::move(found),
                     .expected = std::move(expected),
                     .remedy = remedy_of(code)});
}

void out_of_turn(const ExchangeTerms& terms, std::string_view event, std::string_view phase) {
  refuse(errors::out_of_turn, terms, std::string(event) + " came out of turn",
         "phase " + std::string(phase), "a phase that takes it");
}

void check_header(const ExchangeTerms& terms, const border::Header& header, SiteId recipient,
                  const Digest& manifest) {
  const bool early =
      header.type == border::MessageType::ready || header.type == border::MessageType::manifest;
  if (header.federation == terms.federation && header.exchange == terms.exchange &&
      header.index == 0 && header.recipient == recipient &&
      header.manifest == (early ? Digest{} : manifest)) {
    return;
  }
  refuse(errors::wrong_exchange, terms, "a message belongs elsewhere: " + header.text(),
         "manifest " + short_hex(header.manifest),
         "manifest " + short_hex(early ? Digest{} : manifest) + ", index 0, this exchange");
}

void check_ledger(const ExchangeTerms& terms, SiteId site, const ReadyBody& ready) {
  ledger::Head before;
  if (site.value() < terms.previous.heads.size()) before = terms.previous.heads[site.value()];
  // RFC 6962 has no proof from an empty tree; whatever grew from nothing is consistent.
  if (before.size == 0 && ready.consistency.empty()) return;
  if (crypto::verify_consistency(before.size, ready.ledger.size, ready.consistency, before.root,
                                 ready.ledger.root)) {
    return;
  }
  refuse(errors::ledger_forked, terms,
         "the ledger of " + terms.text_of(site) + " does not continue what it showed before",
         std::to_string(ready.ledger.size) + " entries, root " + short_hex(ready.ledger.root),
         "an extension of " + std::to_string(before.size) + " entries, root " +
             short_hex(before.root));
}

void check_equal_states(const ExchangeTerms& terms, const std::vector<Participant>& participants) {
  std::map<Digest, std::size_t> votes;
  for (const Participant& one : participants) ++votes[one.ready.state];
  Digest right = terms.initial_state;
  if (terms.exchange.round != Round{0}) {
    auto most = std::max_element(votes.begin(), votes.end(),
                                 [](const auto& a, const auto& b) { return a.second < b.second; });
    if (most == votes.end()) return;
    right = most->first;
    // Without a strict majority nobody can be called the one that differs: name them all.
    if (2 * most->second <= participants.size()) right = Digest{};
  }
  std::string differing;
  std::string states;
  for (const Participant& one : participants) {
    if (one.ready.state == right) continue;
    differing += (differing.empty() ? "" : ", ") + terms.text_of(one.site);
    states += (states.empty() ? "" : ", ") + short_hex(one.ready.state);
  }
  if (differing.empty()) return;
  refuse(errors::state_differs, terms, "the shared model differs at " + differing, states,
         right.is_zero()
             ? "equal state digests"
             : short_hex(right) + (terms.exchange.round == Round{0} ? " of the agreement"
                                                                    : " of the other sites"));
}

void check_table(const ExchangeTerms& terms, SiteId sender, const border::FrameTable& table) {
  border::FrameTable expected = terms.table(table.root);
  if (table == expected) return;
  refuse(errors::table_refused, terms,
         "the blocks of " + terms.text_of(sender) + " are not those of the agreement",
         std::to_string(table.num_leaves()) + " blocks, " +
             std::to_string(table.vectors[0].block_bytes) + " bytes each",
         std::to_string(expected.num_leaves()) + " blocks, " +
             std::to_string(expected.vectors[0].block_bytes) + " bytes each");
}

void check_signature(const ExchangeTerms& terms, SiteId site, ByteView statement,
                     const crypto::Signature& signature, const char* what) {
  if (site.value() < terms.keys.size() &&
      crypto::verify(terms.keys[site.value()], statement, signature)) {
    return;
  }
  refuse(errors::statement_refused, terms,
         "the " + std::string(what) + " of " + terms.text_of(site) +
             " is not over what this party has",
         "a signature that does not verify", "one over the same bytes");
}

void check_all_signed(const ExchangeTerms& terms, const std::vector<SiteId>& participants,
                      const std::vector<SiteSignature>& signatures, ByteView statement,
                      const char* what, const ErrorCode& code) {
  std::vector<SiteId> signers;
  for (const SiteSignature& one : signatures) signers.push_back(one.site);
  if (signers != participants) {
    refuse(code, terms, "not every participant signed the " + std::string(what),
           std::to_string(signers.size()) + " signers",
           "all " + std::to_string(participants.size()) + " participants");
  }
  for (const SiteSignature& one : signatures) {
    if (crypto::verify(terms.keys[one.site.value()], statement, one.signature)) continue;
    refuse(code, terms,
           "the " + std::string(what) + " of " + terms.text_of(one.site) +
               " is not over what this site has",
           "a signature over other bytes", "one over the same bytes");
  }
}

void check_weight(const ExchangeTerms& terms, std::size_t num_participants,
                  std::uint64_t total_weight) {
  std::uint64_t most = num_participants * std::uint64_t{terms.weight_cap};
  if (total_weight <= most) return;
  refuse(errors::aggregate_differs, terms, "the summed weight is more than all sites can have",
         std::to_string(total_weight), "at most " + std::to_string(most));
}

}  // namespace concordat::federation
