// What sites signed inside their messages. These signatures are by the signing key, not by the log
// key: a coordinator cannot write down a cosignature that a site never gave.
#include <algorithm>
#include <charconv>

#include "audit/checks.hpp"
#include "concordat/federation/terms.hpp"

namespace concordat::audit {
namespace {

using ledger::CrossingKind;

/// Digest of the survivors that a ledger has of an exchange with one peer, as hexadecimal text.
using Survivors = std::map<std::pair<ExchangeId, SiteId>, std::string>;

Survivors survivors_of(const Book& book) {
  Survivors survivors;
  for (const auto& [crossing, index] : book.crossings) {
    if (crossing.kind != CrossingKind::survivors) continue;
    survivors.emplace(std::pair{crossing.exchange, crossing.to}, fact(crossing.facts, "document"));
  }
  return survivors;
}

Bytes statement_of(const ledger::Crossing& crossing, const Digest& federation,
                   const Survivors& survivors) {
  if (crossing.kind == CrossingKind::cosign) {
    return federation::cosign_statement(federation, crossing.exchange, crossing.manifest);
  }
  const std::string_view text = fact(crossing.facts, "tokens");
  std::uint64_t tokens = 0;
  std::from_chars(text.data(), text.data() + text.size(), tokens);
  const Digest root = digest_from_hex(fact(crossing.facts, "root"), "root");
  const auto known = survivors.find({crossing.exchange, crossing.from});
  const Digest document =
      digest_from_hex(known == survivors.end() ? "" : known->second, "survivors");
  return federation::received_statement(federation, crossing.exchange, crossing.manifest, document,
                                        root, tokens);
}

bool verifies(const ledger::Crossing& crossing, const Digest& federation,
              const Survivors& survivors, const crypto::VerifyKey& key) {
  try {
    const Bytes raw = from_hex(fact(crossing.facts, "signature"), "signature");
    return crypto::verify(key, statement_of(crossing, federation, survivors),
                          crypto::signature_from(raw, "signature"));
  } catch (const Error&) {
    return false;  // not the hexadecimal form of anything
  }
}

Digest federation_of(const Books& books, const AuditInput& input) {
  if (!input.federation.is_zero()) return input.federation;
  for (const Book& book : books.all) {
    if (!book.agreement) continue;
    try {
      return digest_from_hex(book.entry(*book.agreement).at("federation"), "federation");
    } catch (const Error&) {
      continue;  // its form is reported elsewhere
    }
  }
  return {};
}

}  // namespace

void check_signatures(const Books& books, const AuditInput& input, Findings& findings) {
  if (input.roster.empty()) return;  // check_roster says so
  const Digest federation = federation_of(books, input);
  for (const Book& book : books.all) {
    const Survivors survivors = survivors_of(book);
    for (const auto& [crossing, index] : book.crossings) {
      if (crossing.kind != CrossingKind::cosign && crossing.kind != CrossingKind::received)
        continue;
      const auto signer =
          std::find_if(input.roster.begin(), input.roster.end(),
                       [id = crossing.from](const AuditMember& one) { return one.id == id; });
      if (signer == input.roster.end()) continue;  // roster.party is failed there
      findings.check("signature." + ledger::entry_kind(crossing.kind),
                     verifies(crossing, federation, survivors, signer->verify_key),
                     book.place(index), [&, kind = crossing.kind, id = crossing.exchange] {
                       return signer->name + " did not sign this " + ledger::entry_kind(kind) +
                              " of " + name_of(id);
                     });
    }
  }
}

}  // namespace concordat::audit
