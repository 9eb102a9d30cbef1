#include "border/sealing.hpp"

#include "concordat/border/errors.hpp"

namespace concordat::border {
namespace {

[[noreturn]] void mismatch(std::string_view field, const ledger::Decision& decision,
                           std::string found, std::string expected) {
  throw Error(errors::decision_mismatch,
              {.what = "the decision is about another " + std::string(field),
               .where = "decision " + decision.id,
               .found = std::move(found),
               .expected = std::move(expected),
               .remedy = "ask for a decision about exactly what is sent"});
}

}  // namespace

void use_decision(ledger::Written<ledger::Decision>&& written, const Header& header,
                  std::uint64_t sealed_bytes) {
  const ledger::Decision decision = std::move(written).take();
  if (!decision.permitted) {
    throw Error(errors::crossing_refused, {.what = "the policy refuses this crossing",
                                           .where = header.text(),
                                           .found = decision.rule + ": " + decision.reason,
                                           .expected = "a decision that permits",
                                           .remedy = "see the refusal in the ledger"});
  }
  auto kind = static_cast<ledger::CrossingKind>(header.type);
  if (decision.kind != kind) {
    mismatch("kind", decision, ledger::name_of(decision.kind), ledger::name_of(kind));
  }
  if (decision.exchange != header.exchange) {
    mismatch("exchange", decision, decision.exchange.text(), header.exchange.text());
  }
  if (decision.manifest != header.manifest) {
    mismatch("manifest", decision, decision.manifest.hex(), header.manifest.hex());
  }
  if (decision.recipient != header.recipient) {
    mismatch("recipient", decision, text_of(decision.recipient), text_of(header.recipient));
  }
  std::string id = ledger::decision_id(kind, header.exchange, header.recipient, header.index);
  if (decision.id != id) mismatch("object", decision, decision.id, id);
  if (sealed_bytes > decision.max_bytes) {
    mismatch("size", decision, "at most " + std::to_string(decision.max_bytes) + " bytes",
             std::to_string(sealed_bytes) + " bytes");
  }
}

}  // namespace concordat::border
