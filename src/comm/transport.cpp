#include "comm/transport.hpp"

#include <algorithm>
#include <chrono>
#include <new>
#include <set>

namespace concordat::comm {

namespace {

constexpr std::size_t kept_limit_bytes = std::size_t{256} << 20U;

[[noreturn]] void throw_stalled(Transport& transport, const Transfers& transfers) {
  std::set<int> peers;
  for (const auto& transfer : transfers) peers.insert(transfer->peer());
  std::string names;
  for (int peer : peers) names += (names.empty() ? "" : ", ") + std::to_string(peer);
  Error error(errors::stalled,
              {.what = "a wait made no progress",
               .where = "rank " + std::to_string(transport.rank()),
               .found = "nothing from or to rank " + names,
               .expected = "progress within " +
                           std::to_string(transport.options().stall_timeout.count()) + " ms",
               .remedy = "look at the log of that rank; restart from the last checkpoint"});
  transport.post_fault(error.what(), static_cast<int>(error.exit_code()));
  throw error;
}

}  // namespace

void post_send(Transport& transport, Transfers& out, int to, int tag, ByteView bytes) {
  const std::size_t part = transport.options().max_message_bytes;
  for (std::size_t at = 0; at < bytes.size(); at += part) {
    out.push_back(transport.send(to, tag, bytes.subspan(at, std::min(part, bytes.size() - at))));
  }
}

void post_receive(Transport& transport, Transfers& out, int from, int tag, ByteSpan into) {
  const std::size_t part = transport.options().max_message_bytes;
  for (std::size_t at = 0; at < into.size(); at += part) {
    out.push_back(transport.receive(from, tag, into.subspan(at, std::min(part, into.size() - at))));
  }
}

void wait_all(Transport& transport, Transfers& transfers) {
  using Clock = std::chrono::steady_clock;
  auto last_progress = Clock::now();
  int idle_steps = 0;
  while (true) {
    const auto erased = std::erase_if(transfers, [](const auto& t) { return t->done(); });
    if (transfers.empty()) return;
    if (erased > 0) {
      last_progress = Clock::now();
      idle_steps = 0;
      continue;
    }
    transport.check();
    if (Clock::now() - last_progress > transport.options().stall_timeout) {
      throw_stalled(transport, transfers);
    }
    transport.back_off(idle_steps++);
  }
}

void Transport::keep_until_sent(Bytes bytes, Transfers transfers) {
  reap();
  if (std::all_of(transfers.begin(), transfers.end(), [](auto& t) { return t->done(); })) return;
  std::lock_guard lock(kept_mutex_);
  // The oldest first: their receivers are at or past the receive, so this cannot close a cycle
  // of ranks that exchange less than the limit before each receives.
  while (kept_bytes_ + bytes.size() > kept_limit_bytes && !kept_.empty()) {
    wait_all(*this, kept_.front().transfers);
    kept_bytes_ -= kept_.front().bytes.size();
    kept_.erase(kept_.begin());
  }
  kept_bytes_ += bytes.size();
  kept_.push_back({std::move(bytes), std::move(transfers)});
}

Bytes Transport::take_scratch(std::size_t bytes) {
  Bytes scratch;
  {
    std::lock_guard lock(scratch_mutex_);
    if (!scratch_.empty()) {
      scratch = std::move(scratch_.back());
      scratch_.pop_back();
    }
  }
  if (scratch.size() < bytes) scratch.resize(bytes);
  return scratch;
}

void Transport::give_back(Bytes scratch) noexcept {
  try {
    std::lock_guard lock(scratch_mutex_);
    scratch_.push_back(std::move(scratch));
  } catch (const std::bad_alloc&) {
    // Then it is simply freed.
  }
}

void Transport::reap() {
  std::lock_guard lock(kept_mutex_);
  std::erase_if(kept_, [&](Kept& kept) {
    std::erase_if(kept.transfers, [](const auto& t) { return t->done(); });
    if (!kept.transfers.empty()) return false;
    kept_bytes_ -= kept.bytes.size();
    return true;
  });
}

bool Transport::drain() noexcept {
  try {
    std::lock_guard lock(kept_mutex_);
    for (auto& kept : kept_) wait_all(*this, kept.transfers);
    kept_.clear();
    return true;
  } catch (const std::exception&) {
    return false;  // the group is dead; whoever failed has been reported by its own rank
  }
}

}  // namespace concordat::comm
