// Checks that both machines share, and how a refusal is worded.
#pragma once

#include <optional>
#include <string>

#include "concordat/core/error.hpp"
#include "concordat/federation/errors.hpp"
#include "concordat/federation/events.hpp"
#include "concordat/federation/terms.hpp"

namespace concordat::federation {

/// @throws Error(code) naming exchange and, in `what`, the party.
[[noreturn]] void refuse(const ErrorCode& code, const ExchangeTerms& terms, std::string what,
                         std::string found, std::string expected);
[[noreturn]] void out_of_turn(const ExchangeTerms& terms, std::string_view event,
                              std::string_view phase);

/// True for a repetition. @throws Error(federation.equivocation) for a different message in the
/// place of a first: evidence.
template <typename Body>
bool repeats(const ExchangeTerms& terms, SiteId site, const std::optional<Body>& before,
             const Body& now, const char* what) {
  if (!before) return false;
  if (*before == now) return true;
  refuse(errors::equivocation, terms,
         terms.text_of(site) + " sent a second, different " + std::string(what), "other content",
         "the content of the first");
}

/// Federation, exchange, index 0, recipient, and the manifest digest that the type demands (the
/// agreement's digest in 1 and 2). @throws Error(federation.wrong_exchange).
void check_header(const ExchangeTerms& terms, const border::Header& header, SiteId recipient,
                  const Digest& manifest);

/// The ledger of a ready continues the one of the round before. @throws Error(ledger_forked).
void check_ledger(const ExchangeTerms& terms, SiteId site, const ReadyBody& ready);

/// Every ready states the same model, in round 0 the agreement's. @throws Error(`code`) naming the
/// sites that differ from the majority.
void check_equal_states(const ExchangeTerms& terms, const std::vector<Participant>& participants,
                        const ErrorCode& code);

/// Each fresh key gives a shared secret, and no two are one point: whoever fails this would stop
/// every border. @throws Error(`code`) naming the later site.
void check_fresh_keys(const ExchangeTerms& terms, const std::vector<Participant>& participants,
                      const ErrorCode& code);

/// @throws Error(federation.table_refused) unless the table is that of the terms.
void check_table(const ExchangeTerms& terms, SiteId sender, const border::FrameTable& table);

/// @throws Error(federation.statement_refused) naming the site.
void check_signature(const ExchangeTerms& terms, SiteId site, ByteView statement,
                     const crypto::Signature& signature, const char* what);

/// Exactly the participants, one signature each, all valid. @throws Error(`code`).
void check_all_signed(const ExchangeTerms& terms, const std::vector<SiteId>& participants,
                      const std::vector<SiteSignature>& signatures, ByteView statement,
                      const char* what, const ErrorCode& code);

/// Whether the manifest names the site.
bool names(const Manifest& manifest, SiteId site);

/// Fewest participants of a manifest of these terms.
std::uint32_t least_participants(const ExchangeTerms& terms);

/// What a closed exchange hands to the next: a site that it went without keeps the head of before.
Chain chain_after(const ExchangeTerms& terms, const Manifest& manifest, const Digest& closing);

/// W is what n sites can have. @throws Error(aggregate_differs).
void check_weight(const ExchangeTerms& terms, std::size_t num_participants,
                  std::uint64_t total_weight);

}  // namespace concordat::federation
