#include "coordinator/outbox.hpp"

#include <algorithm>

#include "concordat/coordinator/errors.hpp"

namespace concordat::coordinator {

const Outbox::Item* Outbox::front(SiteId to) const {
  auto it = queues_.find(to);
  return it == queues_.end() || it->second.empty() ? nullptr : &it->second.front();
}

SealedRecord Outbox::read(const CoordinatorFolder& folder, const Item& item) {
  if (const auto log = item.log.lock()) return log->sealed(item.offset);
  if (!opened_ || opened_exchange_ != item.exchange) {
    const FileSystem::Path path = folder.journal(item.exchange);
    if (!folder.files().exists(path)) {
      throw Error(errors::bad_journal, {.what = "the journal of a closed exchange is gone",
                                        .where = path.string(),
                                        .found = "no file",
                                        .expected = "what some site still has to hear",
                                        .remedy = "restore the journal from a backup"});
    }
    opened_ = std::make_shared<ExchangeLog>(ExchangeLog::open(folder, item.exchange, {}));
    opened_exchange_ = item.exchange;
  }
  return opened_->sealed(item.offset);
}

std::optional<Round> Outbox::acknowledged(SiteId by, const Digest& digest) {
  auto& queue = queues_[by];
  auto it = std::find_if(queue.begin(), queue.end(),
                         [&](const Item& item) { return item.digest == digest; });
  std::optional<Round> closed;
  if (it == queue.end()) return closed;
  for (auto item = queue.begin(); item != it + 1; ++item) {
    if (item->type == border::MessageType::closed) closed = item->exchange.round;
  }
  queue.erase(queue.begin(), it + 1);
  return closed;
}

std::size_t Outbox::size(SiteId to) const {
  const auto it = queues_.find(to);
  return it == queues_.end() ? 0 : it->second.size();
}

}  // namespace concordat::coordinator
