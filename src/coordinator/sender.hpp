// From the machine's wish to speak to sealed, journalled, ledgered bytes.
#pragma once

#include <optional>

#include "concordat/border/receipts.hpp"
#include "concordat/crypto/exchange_secrets.hpp"
#include "concordat/federation/coordinator_exchange.hpp"
#include "concordat/governance/decide.hpp"
#include "concordat/ledger/ledger.hpp"
#include "coordinator/aggregate.hpp"
#include "coordinator/outbox.hpp"
#include "coordinator/reached.hpp"

namespace concordat::coordinator {

/// What every exchange of this process works with. Borrowed; outlives all of them.
struct Office {
  const CoordinatorFolder& folder;
  const federation::SignedRoster& roster;
  const federation::SignedAgreement& agreement;
  const border::PeerDirectory& peers;
  border::Identity self;
  crypto::SecureRandom& random;
  ledger::Ledger& ledger;
  border::ReceiptBook& receipts;
  crypto::ExchangeSecrets& secrets;
  Outbox& outbox;
  Reached& reached;
};

/// What roster, agreement and the machine's phase entail just now.
governance::PolicyContext policy_context(const Office& office,
                                         const federation::CoordinatorExchange& machine);

/// The entry of a message that arrived; the same after a restart.
ledger::Entry entry_of(const federation::CoordinatorExchange& machine,
                       const IncomingRecord& record);

/// Decides, seals, journals and enters the messages, and posts them. For aggregates it draws the
/// frame key, or takes the one that the exchange's secrets hold, and returns the sealer.
std::optional<border::FrameSealer> send_all(Office& office,
                                            const federation::CoordinatorExchange& machine,
                                            const std::shared_ptr<ExchangeLog>& log,
                                            std::span<const federation::Send> sends);

/// After a restart: the ledger's entry and the outbox's item of a message that was journalled.
void post_again(Office& office, const federation::CoordinatorExchange& machine,
                const std::shared_ptr<ExchangeLog>& log, const federation::Send& send,
                const Digest& digest, std::uint64_t wire_bytes, std::uint64_t offset);

/// After a restart: the sealer of an aggregate whose message was journalled.
border::FrameSealer resume_frames(Office& office, const federation::CoordinatorExchange& machine,
                                  const federation::Send& send, ByteView wire);

}  // namespace concordat::coordinator
