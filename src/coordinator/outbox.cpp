#include "coordinator/outbox.hpp"

#include <algorithm>

namespace concordat::coordinator {

const Outbox::Item* Outbox::front(SiteId to) const {
  auto it = queues_.find(to);
  return it == queues_.end() || it->second.empty() ? nullptr : &it->second.front();
}

void Outbox::acknowledged(SiteId by, const Digest& digest) {
  auto& queue = queues_[by];
  auto it = std::find_if(queue.begin(), queue.end(),
                         [&](const Item& item) { return item.digest == digest; });
  if (it != queue.end()) queue.erase(queue.begin(), it + 1);
}

bool Outbox::empty() const {
  return std::all_of(queues_.begin(), queues_.end(),
                     [](const auto& entry) { return entry.second.empty(); });
}

}  // namespace concordat::coordinator
