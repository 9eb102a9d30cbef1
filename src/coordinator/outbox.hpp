// What the coordinator has to say to each site: places in exchange logs, oldest first.
#pragma once

#include <deque>
#include <map>
#include <memory>

#include "coordinator/exchange_log.hpp"

namespace concordat::coordinator {

/// Threads: the caller's lock.
class Outbox {
 public:
  struct Item {
    Digest digest;  ///< of the sealed message
    std::shared_ptr<ExchangeLog> log;
    std::uint64_t offset = 0;
  };
  void post(SiteId to, Item item) { queues_[to].push_back(std::move(item)); }
  /// nullptr if there is nothing to say.
  const Item* front(SiteId to) const;
  /// The site has this message, and so all before it.
  void acknowledged(SiteId by, const Digest& digest);
  /// The site answered everything so far.
  void clear(SiteId site) { queues_[site].clear(); }
  bool empty() const;

 private:
  std::map<SiteId, std::deque<Item>> queues_;
};

}  // namespace concordat::coordinator
