#include "concordat/ledger/decision.hpp"

#include "concordat/ledger/errors.hpp"
#include "ledger/text.hpp"

namespace concordat::ledger {

std::string name_of(CrossingKind kind) {
  switch (kind) {
    case CrossingKind::ready:
      return "ready";
    case CrossingKind::manifest:
      return "manifest";
    case CrossingKind::cosign:
      return "cosign";
    case CrossingKind::go:
      return "go";
    case CrossingKind::header:
      return "header";
    case CrossingKind::survivors:
      return "survivors";
    case CrossingKind::agree:
      return "agree";
    case CrossingKind::unmask_request:
      return "unmask_request";
    case CrossingKind::unmask:
      return "unmask";
    case CrossingKind::aggregate:
      return "aggregate";
    case CrossingKind::received:
      return "received";
    case CrossingKind::closed:
      return "closed";
    case CrossingKind::withdraw:
      return "withdraw";
    case CrossingKind::block:
      return "block";
    case CrossingKind::ack:
      return "ack";
    case CrossingKind::state_blocks:
      return "state_blocks";
  }
  return "kind-" + std::to_string(static_cast<unsigned>(kind));
}

std::string party(SiteId id) {
  return id == coordinator_id ? "coordinator" : "site-" + std::to_string(id.value());
}

SiteId party_from(std::string_view text, std::string_view where) {
  if (text == "coordinator") return coordinator_id;
  if (text.starts_with("site-")) {
    const auto number = parse_decimal(text.substr(5));
    if (number && *number < coordinator_id.value()) {
      return SiteId{static_cast<std::uint32_t>(*number)};
    }
  }
  throw Error(errors::malformed, {.what = "no name of a party",
                                  .where = std::string(where),
                                  .found = "'" + std::string(text) + "'",
                                  .expected = "coordinator or site-N",
                                  .remedy = {}});
}

std::string decision_id(CrossingKind kind, ExchangeId exchange, SiteId recipient,
                        std::uint32_t index) {
  return name_of(kind) + "/" + exchange.text() + "/" + party(recipient) + "/" +
         std::to_string(index);
}

}  // namespace concordat::ledger
