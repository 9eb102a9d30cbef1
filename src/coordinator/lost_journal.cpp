#include "coordinator/lost_journal.hpp"

#include <set>

#include "concordat/coordinator/errors.hpp"
#include "coordinator/exchange_log.hpp"

namespace concordat::coordinator {
namespace {

using ledger::CrossingKind;
using ledger::Direction;

constexpr CrossingKind heard[] = {CrossingKind::ready, CrossingKind::cosign, CrossingKind::header,
                                  CrossingKind::agree, CrossingKind::received};
constexpr CrossingKind said[] = {CrossingKind::manifest, CrossingKind::go, CrossingKind::survivors,
                                 CrossingKind::aggregate, CrossingKind::closed};

/// What a coordinator and a site say to each other once in an exchange.
std::string key_of(CrossingKind kind, Direction direction, const ExchangeId& exchange,
                   SiteId site) {
  const bool in = direction == Direction::in;
  return ledger::crossing_entry({.kind = kind,
                                 .direction = direction,
                                 .exchange = exchange,
                                 .manifest = {},
                                 .from = in ? site : coordinator_id,
                                 .to = in ? coordinator_id : site,
                                 .index = 0,
                                 .digest = {},
                                 .message_bytes = 0,
                                 .frame_bytes = 0,
                                 .decision = in ? "" : "none",
                                 .facts = {}})
      .key;
}

std::set<std::string> keys_in(const CoordinatorFolder& folder, const ExchangeId& exchange) {
  std::set<std::string> keys;
  ExchangeLog::open(folder, exchange, [&](const LogRecord& record, std::uint64_t) {
    if (const auto* incoming = std::get_if<IncomingRecord>(&record)) {
      const border::Header& header = incoming->message.header;
      keys.insert(
          key_of(static_cast<CrossingKind>(header.type), Direction::in, exchange, header.sender));
    } else if (const auto* sealed = std::get_if<SealedRecord>(&record)) {
      keys.insert(
          key_of(static_cast<CrossingKind>(sealed->type), Direction::out, exchange, sealed->to));
    }
  });
  return keys;
}

[[noreturn]] void lost(const CoordinatorFolder& folder, const ExchangeId& exchange,
                       const std::string& key) {
  throw Error(
      errors::journal_lost,
      {.what = "the coordinator's journals are lost, cut or an older copy",
       .where = folder.journal(exchange).string(),
       .found = "no record of what its ledger has as " + key,
       .expected =
           "every message in the journal of its exchange, which is written before the ledger",
       .remedy =
           "restore the folder journal/ as it was. Without it this run cannot go on, since "
           "nothing may be said twice; ledgers and the sites' models hold, and a new run can "
           "start from a site's model: docs/running.md, 'A coordinator whose journal was lost'"});
}

}  // namespace

void require_journals(const CoordinatorFolder& folder, const ledger::Ledger& ledger,
                      std::uint32_t num_sites) {
  const std::vector<ExchangeId> exchanges = folder.journalled();
  const auto check = [&](const ExchangeId& exchange, Direction direction, CrossingKind kind,
                         const std::set<std::string>& known) {
    for (std::uint32_t site = 0; site < num_sites; ++site) {
      const std::string key = key_of(kind, direction, exchange, SiteId{site});
      if (ledger.find(key) && !known.contains(key)) lost(folder, exchange, key);
    }
  };
  ExchangeId next{};
  if (!exchanges.empty()) {
    const ExchangeId& newest = exchanges.back();
    const std::set<std::string> known = keys_in(folder, newest);
    for (const CrossingKind kind : heard) check(newest, Direction::in, kind, known);
    for (const CrossingKind kind : said) check(newest, Direction::out, kind, known);
    next.round = newest.round.next();
  }
  // An exchange begins with a ready.
  check(next, Direction::in, CrossingKind::ready, {});
}

}  // namespace concordat::coordinator
