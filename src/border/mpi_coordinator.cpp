// The end of the coordinator: one thread per border, one request at a time each.
#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "border/mpi_letters.hpp"
#include "concordat/border/errors.hpp"
#include "concordat/border/mpi_road.hpp"
#include "concordat/core/log.hpp"

namespace concordat::border {
namespace {

using std::chrono::milliseconds;

// A wire in memory, its plaintext, and a sealed or stored copy: what a handler holds at most.
constexpr std::uint64_t copies_per_frame = 3;
constexpr std::uint64_t small_letter_bytes = 64U << 10U;  // not worth a place in the budget
constexpr milliseconds handler_slice{200};
constexpr milliseconds farewell_limit{2'000};

[[noreturn]] void abused(std::string what, std::string found, std::string expected) {
  throw Error(errors::road_abused, {.what = std::move(what),
                                    .where = "mpi road",
                                    .found = std::move(found),
                                    .expected = std::move(expected),
                                    .remedy = "start all parties with one version"});
}

struct Reply {
  Answer kind = Answer::done;
  Bytes payload{};
};

class Road final : public CoordinatorRoad {
 public:
  Road(comm::Interlink& link, const PeerDirectory& peers, const MpiCoordinatorOptions& options)
      : link_(link),
        budget_(options.budget ? options.budget : std::make_shared<ByteBudget>(64ULL << 20U)) {
    for (const std::string& name : link.peers()) sites_.push_back(id_of(peers, name));
  }
  ~Road() override { stop(); }

  void start(RoadHandler& handler) override {
    stopping_ = false;
    ++term_;
    for (int peer = 0; peer < static_cast<int>(sites_.size()); ++peer) {
      threads_.emplace_back([this, peer, &handler] { serve(peer, handler); });
    }
  }

  void stop() override {
    if (threads_.empty()) return;
    stopping_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    std::lock_guard lock(mutex_);
    connected_.clear();
    fault_ = nullptr;
  }

  std::vector<SiteId> connected() override {
    std::lock_guard lock(mutex_);
    // Once: its owner has to write down that it ends.
    if (fault_) std::rethrow_exception(std::exchange(fault_, nullptr));
    return {connected_.begin(), connected_.end()};
  }

 private:
  static SiteId id_of(const PeerDirectory& peers, const std::string& name) {
    for (SiteId id : peers.sites()) {
      if (peers.at(id).name == name) return id;
    }
    throw Error(errors::unknown_peer, {.what = "a border of this job is no site of the roster",
                                       .where = "mpi road",
                                       .found = name,
                                       .expected = "a site of the roster",
                                       .remedy = "start the borders of the roster's sites only"});
  }

  SiteId site(int peer) const { return sites_[static_cast<std::size_t>(peer)]; }

  void set_connected(int peer, bool on) {
    std::lock_guard lock(mutex_);
    if (on) {
      connected_.insert(site(peer));
    } else {
      connected_.erase(site(peer));
    }
  }

  void notice(int peer, Notice kind, milliseconds wait) {
    ByteWriter term;
    if (kind == Notice::open) term.u32(term_);
    Bytes letter = letter_of(static_cast<std::uint8_t>(kind), term.bytes());
    link_.send(peer, 0, letter, wait);
  }

  void serve(int peer, RoadHandler& handler) {
    try {
      notice(peer, Notice::open, farewell_limit);
      // A letter that is half here when a slice ends keeps its place in the budget.
      std::optional<ByteBudget::Reservation> held;
      while (!stopping_ && !link_.left(peer)) {
        auto letter = link_.receive(peer, letter_slice, [&](std::uint64_t bytes) {
          if (bytes > 1 + answer_bound()) {
            abused("a request is longer than any bound", std::to_string(bytes) + " bytes",
                   "at most " + std::to_string(1 + answer_bound()));
          }
          if (bytes > small_letter_bytes) held.emplace(budget_->reserve(copies_per_frame * bytes));
        });
        if (!letter) continue;
        serve_one(peer, handler, *letter, held);
        letter.reset();
        held.reset();
      }
      if (!link_.left(peer)) notice(peer, Notice::closed, farewell_limit);
    } catch (const std::exception& error) {
      log::error("the road of site " + std::to_string(site(peer).value()) +
                 " ended: " + error.what());
      // In one mpirun nobody can come again: without this site the others would wait for ever.
      std::lock_guard lock(mutex_);
      if (!fault_) fault_ = std::current_exception();
    }
    set_connected(peer, false);
  }

  void serve_one(int peer, RoadHandler& handler, const comm::Interlink::Letter& letter,
                 std::optional<ByteBudget::Reservation>& held) {
    set_connected(peer, true);
    if (letter.number == 0) return heed(peer, letter.bytes);
    // Of an earlier term: who sent it was told that it has no answer.
    if (letter.number >> 32U != term_) return;
    std::optional<Reply> reply;
    bool dropped = false;
    try {
      reply = act_on(peer, handler, letter, held);
    } catch (const Error& error) {
      dropped = error.code() == errors::road_down || !is_answer(error);
      if (dropped) {
        log::debug(std::string("a request has no answer: ") + error.what());
      } else {
        reply = Reply{Answer::refused, encode_refusal(error)};
      }
    } catch (const std::exception& error) {
      dropped = true;
      log::error(std::string("a request has no answer: ") + error.what());
    }
    if (reply) return answer(peer, letter.number, *reply);
    // What ends the coordinator is no answer to a site: it hears that there is none and tries
    // again.
    if (!dropped || stopping_) return;
    notice(peer, Notice::closed, farewell_limit);
    notice(peer, Notice::open, farewell_limit);
  }

  void heed(int peer, ByteView bytes) {
    if (bytes.size() == 1 && bytes[0] == static_cast<std::uint8_t>(Notice::hello)) {
      return notice(peer, Notice::open, farewell_limit);
    }
    set_connected(peer, false);
    if (bytes.size() == 1 && bytes[0] == static_cast<std::uint8_t>(Notice::goodbye)) return;
    log::warn("site " + std::to_string(site(peer).value()) + " sent a notice that is none: " +
              (bytes.empty() ? "empty" : std::to_string(bytes[0])));
  }

  /// nullopt: the road stops, and with it the wait for something to answer.
  std::optional<Reply> act_on(int peer, RoadHandler& handler, const comm::Interlink::Letter& letter,
                              std::optional<ByteBudget::Reservation>& held) {
    const SiteId from = site(peer);
    const std::uint8_t kind = letter.bytes.empty() ? 0 : letter.bytes[0];
    const auto payload = ByteView(letter.bytes).subspan(letter.bytes.empty() ? 0 : 1);
    const auto bound = request_bound(kind);
    if (!bound) abused("an unknown request", std::to_string(kind), "1 to 7");
    if (payload.size() > *bound) {
      abused("a request is longer than its bound", std::to_string(payload.size()) + " bytes",
             "at most " + std::to_string(*bound));
    }
    const auto request = static_cast<Request>(kind);
    if (request == Request::fetch) {
      ByteReader in(payload, "request");
      const milliseconds wait(in.u32());
      in.finish();
      return fetch(from, handler, std::min(wait, longest_fetch_wait));
    }
    if (request == Request::fetch_blocks) {
      const BlockRange range = read_block_range(payload, 1, "mpi road");
      if (range.last == range.first) abused("a range of blocks beyond its bound", "none", "one");
      held.emplace(
          budget_->reserve(copies_per_frame * handler.largest_frame_bytes(range.exchange)));
      const Envelope frame = handler.aggregate_block(from, range.exchange, range.first);
      return Reply{Answer::done, Bytes(frame.wire().begin(), frame.wire().end())};
    }
    return Reply{Answer::done, act_at_once(handler, from, request, payload)};
  }

  std::optional<Reply> fetch(SiteId from, RoadHandler& handler, milliseconds wait) {
    for (;;) {
      const milliseconds slice = std::min(wait, handler_slice);
      if (auto message = handler.next_message(from, slice)) {
        return Reply{Answer::done, Bytes(message->wire().begin(), message->wire().end())};
      }
      if (stopping_) return std::nullopt;
      wait -= slice;
      if (wait <= milliseconds(0)) return Reply{Answer::nothing, {}};
    }
  }

  /// Returns when the letter is through, so that its bytes stay counted until then.
  void answer(int peer, std::uint64_t number, const Reply& reply) {
    Bytes letter = letter_of(static_cast<std::uint8_t>(reply.kind), reply.payload);
    while (!link_.send(peer, number, letter, letter_slice)) {
      if (stopping_ || link_.left(peer)) return;
    }
    while (!link_.sent(peer, letter_slice)) {
      if (stopping_ || link_.left(peer)) return;
    }
  }

  comm::Interlink& link_;
  std::shared_ptr<ByteBudget> budget_;
  std::vector<SiteId> sites_;  ///< of the link's peers, in their order
  std::uint32_t term_ = 0;     ///< counts start(); no thread runs while it changes
  std::vector<std::thread> threads_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;  ///< of what follows
  std::set<SiteId> connected_;
  std::exception_ptr fault_;  ///< what ended a thread, until connected() has thrown it
};

}  // namespace

std::unique_ptr<CoordinatorRoad> make_mpi_coordinator_road(comm::Interlink& link,
                                                           const PeerDirectory& peers,
                                                           const MpiCoordinatorOptions& options) {
  return std::make_unique<Road>(link, peers, options);
}

}  // namespace concordat::border
