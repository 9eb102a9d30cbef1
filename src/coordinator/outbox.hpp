// What the coordinator has to say to each site: places in exchange logs, oldest first. It keeps no
// log open: that of an exchange that is over is opened again when its turn comes.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>

#include "coordinator/exchange_log.hpp"

namespace concordat::coordinator {

/// Threads: the caller's lock.
class Outbox {
 public:
  struct Item {
    Digest digest;  ///< of the sealed message
    ExchangeId exchange{};
    border::MessageType type{};
    std::weak_ptr<ExchangeLog> log;  ///< while its exchange is open
    std::uint64_t offset = 0;
  };
  void post(SiteId to, Item item) { queues_[to].push_back(std::move(item)); }
  /// nullptr if there is nothing to say.
  const Item* front(SiteId to) const;
  /// Reads the item's message from its exchange's log. @throws Error(coordinator.bad_journal).
  SealedRecord read(const CoordinatorFolder& folder, const Item& item);
  /// The site has this message, and so all before it. The newest round whose closing record is
  /// among them, if any.
  std::optional<Round> acknowledged(SiteId by, const Digest& digest);
  /// The site answered everything so far.
  void clear(SiteId site) { queues_[site].clear(); }
  std::size_t size(SiteId to) const;

 private:
  std::map<SiteId, std::deque<Item>> queues_;
  ExchangeId opened_exchange_{};
  std::shared_ptr<ExchangeLog> opened_;  ///< of the exchange that was read last
};

}  // namespace concordat::coordinator
