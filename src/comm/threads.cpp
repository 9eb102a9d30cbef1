// The `threads` back end: a mailbox a rank.
#include "concordat/comm/threads.hpp"

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <map>
#include <optional>
#include <thread>

#include "comm/fault.hpp"
#include "comm/group_communicator.hpp"

namespace concordat::comm {

namespace {

/// Messages from one rank with one tag. Tickets keep arrival in the order of posting on both
/// sides, whichever receive is tested first.
struct Lane {
  std::uint64_t next_sent = 0;
  std::uint64_t next_posted = 0;
  std::map<std::uint64_t, Bytes> arrived;
};

struct Mailbox {
  std::mutex mutex;
  std::condition_variable changed;
  std::uint64_t version = 0;
  std::map<std::pair<int, int>, Lane> lanes;  ///< by (from, tag)
};

struct World {
  World(int num_ranks, const CommOptions& common)
      : options(common), mailboxes(static_cast<std::size_t>(num_ranks)) {}

  void post_fault(Fault fault) {
    {
      std::lock_guard lock(fault_mutex);
      if (failed) return;
      first_fault = std::move(fault);
      failed = true;
    }
    for (auto& mailbox : mailboxes) {
      std::lock_guard lock(mailbox.mutex);
      ++mailbox.version;
      mailbox.changed.notify_all();
    }
  }

  CommOptions options;
  std::vector<Mailbox> mailboxes;
  std::mutex fault_mutex;
  bool failed = false;
  Fault first_fault;
};

class DoneTransfer final : public Transfer {
 public:
  using Transfer::Transfer;
  bool done() override { return true; }
};

class MailboxReceive final : public Transfer {
 public:
  MailboxReceive(Mailbox& mailbox, int from, int tag, ByteSpan into)
      : Transfer(from), mailbox_(mailbox), key_(from, tag), into_(into) {
    std::lock_guard lock(mailbox_.mutex);
    ticket_ = mailbox_.lanes[key_].next_posted++;
  }

  bool done() override {
    std::lock_guard lock(mailbox_.mutex);
    auto lane = mailbox_.lanes.find(key_);
    auto message = lane->second.arrived.find(ticket_);
    if (message == lane->second.arrived.end()) return false;
    CONCORDAT_REQUIRE(message->second.size() == into_.size(),
                      std::to_string(message->second.size()) + " bytes arrived for a receive of " +
                          std::to_string(into_.size()));
    if (!into_.empty()) std::memcpy(into_.data(), message->second.data(), into_.size());
    lane->second.arrived.erase(message);
    const Lane& rest = lane->second;
    if (rest.arrived.empty() && rest.next_posted == rest.next_sent) mailbox_.lanes.erase(lane);
    return true;
  }

 private:
  Mailbox& mailbox_;
  std::pair<int, int> key_;
  ByteSpan into_;
  std::uint64_t ticket_ = 0;
};

class ThreadTransport final : public Transport {
 public:
  ThreadTransport(std::shared_ptr<World> world, int rank)
      : Transport(world->options), world_(std::move(world)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(world_->mailboxes.size()); }
  TagLayout tags() const override { return {}; }

  std::unique_ptr<Transfer> send(int to, int tag, ByteView bytes) override {
    auto& mailbox = box(to);
    std::lock_guard lock(mailbox.mutex);
    auto& lane = mailbox.lanes[{rank_, tag}];
    lane.arrived.emplace(lane.next_sent++, Bytes(bytes.begin(), bytes.end()));
    ++mailbox.version;
    mailbox.changed.notify_all();
    return std::make_unique<DoneTransfer>(to);
  }

  std::unique_ptr<Transfer> receive(int from, int tag, ByteSpan into) override {
    return std::make_unique<MailboxReceive>(box(rank_), from, tag, into);
  }

  void post_fault(const std::string& text, int exit_code) noexcept override {
    world_->post_fault({rank_, exit_code, text});
  }

  void check() override {
    std::lock_guard lock(world_->fault_mutex);
    if (world_->failed) throw peer_failed_error(world_->first_fault, rank_);
  }

  void back_off(int) override {
    auto& mailbox = box(rank_);
    std::unique_lock lock(mailbox.mutex);
    mailbox.changed.wait_for(lock, std::chrono::milliseconds(1),
                             [&] { return mailbox.version != seen_; });
    seen_ = mailbox.version;
  }

 private:
  Mailbox& box(int rank) { return world_->mailboxes[static_cast<std::size_t>(rank)]; }
  std::shared_ptr<World> world_;
  int rank_;
  std::atomic<std::uint64_t> seen_{0};  ///< the host and stream threads may both wait
};

}  // namespace

void run_threads(int num_ranks, const std::function<void(Communicator&)>& rank_main,
                 const CommOptions& options) {
  CONCORDAT_REQUIRE(num_ranks >= 1, std::to_string(num_ranks));
  auto world = std::make_shared<World>(num_ranks, options);
  std::vector<std::exception_ptr> thrown(static_cast<std::size_t>(num_ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < num_ranks; ++rank) {
    threads.emplace_back([&, rank] {
      auto comm = GroupCommunicator::all(std::make_shared<ThreadTransport>(world, rank));
      auto record = [&](const std::exception& error) {
        thrown[static_cast<std::size_t>(rank)] = std::current_exception();
        comm->fail(error);
      };
      try {
        rank_main(*comm);
      } catch (const std::exception& error) {
        record(error);
      } catch (...) {
        record(Bug("an exception of an unknown type"));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  if (!world->failed) return;
  // The fault that was posted first is the cause; an echo of it may have been thrown earlier.
  if (auto cause = thrown[static_cast<std::size_t>(world->first_fault.rank)]) {
    std::rethrow_exception(cause);
  }
  for (const auto& echo : thrown) {
    if (echo) std::rethrow_exception(echo);
  }
}

}  // namespace concordat::comm
