// What sites signed inside their messages. These signatures are by the signing key, not by the log
// key: a coordinator cannot write down a cosignature that a site never gave.
#include <algorithm>
#include <charconv>

#include "audit/checks.hpp"
#include "concordat/federation/terms.hpp"

namespace concordat::audit {
namespace {

using ledger::CrossingKind;

Bytes statement_of(const ledger::Crossing& crossing, const Digest& federation) {
  if (crossing.kind == CrossingKind::cosign) {
    return federation::cosign_statement(federation, crossing.exchange, crossing.manifest);
  }
  const std::string_view text = fact(crossing.facts, "tokens");
  std::uint64_t tokens = 0;
  std::from_chars(text.data(), text.data() + text.size(), tokens);
  const Digest root = digest_from_hex(fact(crossing.facts, "root"), "root");
  return federation::received_statement(federation, crossing.exchange, crossing.manifest, root,
                                        tokens);
}

bool verifies(const ledger::Crossing& crossing, const Digest& federation,
              const crypto::VerifyKey& key) {
  try {
    const Bytes raw = from_hex(fact(crossing.facts, "signature"), "signature");
    return crypto::verify(key, statement_of(crossing, federation),
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
    for (const auto& [crossing, index] : book.crossings) {
      if (crossing.kind != CrossingKind::cosign && crossing.kind != CrossingKind::received)
        continue;
      const auto signer =
          std::find_if(input.roster.begin(), input.roster.end(),
                       [id = crossing.from](const AuditMember& one) { return one.id == id; });
      if (signer == input.roster.end()) continue;  // roster.party is failed there
      findings.check("signature." + ledger::entry_kind(crossing.kind),
                     verifies(crossing, federation, signer->verify_key), book.place(index),
                     [&, kind = crossing.kind, id = crossing.exchange] {
                       return signer->name + " did not sign this " + ledger::entry_kind(kind) +
                              " of " + name_of(id);
                     });
    }
  }
}

}  // namespace concordat::audit
