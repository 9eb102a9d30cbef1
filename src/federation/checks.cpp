#include "federation/checks.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "concordat/crypto/errors.hpp"
#include "concordat/crypto/keys.hpp"
#include "concordat/crypto/merkle.hpp"

namespace concordat::federation {
namespace {

std::string remedy_of(const ErrorCode& code) {
  if (code == errors::out_of_turn) return "the sender repeats it later";
  if (code == errors::too_late)
    return "wait: the record of the round comes when it is closed, and the site catches up";
  if (code == errors::state_differs) return "restore the named site from its newest generation";
  if (code == errors::accepted_states_differ) {
    return "the named site has signed another model: agree on a new run without it or from its "
           "restored generation";
  }
  if (code == errors::fresh_key_refused)
    return "the named site draws fresh keys and says ready again";
  if (code == errors::ledger_forked) return "audit the named site's ledger before going on";
  return "nothing was released or changed; ask the named party, the evidence is in the ledger";
}

std::string short_hex(const Digest& digest) { return digest.hex().substr(0, 16); }

// What a key agrees to with a scalar that everybody knows. It is equal for two encodings of one
// point, and for points that differ by one of small order: such keys give the same secrets.
std::optional<Digest> known_secret(const crypto::SealKey& key) {
  static const auto& known =
      *new crypto::OpeningKey(crypto::OpeningKey::from_private(Bytes(32, 9)));
  try {
    const crypto::SecretBytes secret = known.shared_secret(key);
    Digest digest;
    std::copy(secret.view().begin(), secret.view().end(), digest.bytes.begin());
    return digest;
  } catch (const Error& error) {
    if (error.code() != crypto::errors::bad_key) throw;
    return std::nullopt;
  }
}

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
  const Digest expected = names_agreement(header.type) ? terms.agreement : manifest;
  if (header.federation == terms.federation && header.exchange == terms.exchange &&
      header.index == 0 && header.recipient == recipient && header.manifest == expected) {
    return;
  }
  refuse(errors::wrong_exchange, terms, "a message belongs elsewhere: " + header.text(),
         (names_agreement(header.type) ? "agreement " : "manifest ") + short_hex(header.manifest),
         short_hex(expected) + ", index 0, this exchange");
}

bool names_agreement(border::MessageType type) {
  return type == border::MessageType::ready || type == border::MessageType::manifest;
}

void check_run(const ExchangeTerms& terms, const border::Header& header, const Digest& manifest) {
  if (names_agreement(header.type)) {
    if (header.manifest == terms.agreement) return;
    refuse(errors::wrong_exchange, terms, "a message of another run: " + header.text(),
           "agreement " + header.manifest.hex(), terms.agreement.hex());
  }
  if (header.exchange != terms.exchange || manifest.is_zero() || header.manifest == manifest) {
    return;
  }
  refuse(errors::wrong_exchange, terms, "a message under another manifest: " + header.text(),
         header.manifest.hex(), manifest.hex());
}

void check_fresh_keys(const ExchangeTerms& terms, const std::vector<Participant>& participants,
                      const ErrorCode& code) {
  std::set<Digest> taken;
  for (const Participant& one : participants) {
    for (const crypto::SealKey& key : {one.ready.mask, one.ready.share}) {
      const auto secret = known_secret(key);
      if (!secret) {
        refuse(code, terms, "a fresh key of " + terms.text_of(one.site) + " is of small order",
               key.hex(), "a key that gives a secret");
      }
      if (!taken.insert(*secret).second) {
        refuse(code, terms, "a fresh key of " + terms.text_of(one.site) + " stands twice",
               key.hex(), "distinct keys");
      }
    }
  }
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

void check_equal_states(const ExchangeTerms& terms, const std::vector<Participant>& participants,
                        const ErrorCode& code) {
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
  std::vector<SiteId> differing;
  std::string states;
  for (const Participant& one : participants) {
    if (one.ready.state == right) continue;
    differing.push_back(one.site);
    states += (states.empty() ? "" : ", ") + short_hex(one.ready.state);
  }
  if (differing.empty()) return;
  refuse(code, terms, "the shared model differs at " + terms.text_of(differing), states,
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

bool names(const Manifest& manifest, SiteId site) {
  return std::any_of(manifest.participants.begin(), manifest.participants.end(),
                     [site](const Participant& one) { return one.site == site; });
}

std::uint32_t least_participants(const ExchangeTerms& terms) {
  return least_participants(terms.num_sites(), terms.minimum, terms.colluding);
}

Chain chain_after(const ExchangeTerms& terms, const Manifest& manifest, const Digest& closing) {
  Chain chain{closing, terms.previous.heads};
  chain.heads.resize(terms.num_sites());
  for (const Participant& one : manifest.participants) {
    chain.heads[one.site.value()] = one.ready.ledger;
  }
  return chain;
}

void check_weight(const ExchangeTerms& terms, std::size_t num_participants,
                  std::uint64_t total_weight) {
  std::uint64_t most = num_participants * std::uint64_t{terms.weight_cap};
  if (total_weight <= most) return;
  refuse(errors::aggregate_differs, terms, "the summed weight is more than all sites can have",
         std::to_string(total_weight), "at most " + std::to_string(most));
}

}  // namespace concordat::federation
