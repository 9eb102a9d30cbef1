// The listening end of the tls road: accepts, authenticates, one thread per connection.
#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <list>
#include <mutex>
#include <thread>

#include "border/tls_connection.hpp"
#include "concordat/border/errors.hpp"
#include "concordat/border/tls_road.hpp"
#include "concordat/core/log.hpp"

namespace concordat::border {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds idle_limit{600'000};
constexpr milliseconds accept_slice{50};

Socket listen_on(const TlsCoordinatorOptions& options) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  std::string port = std::to_string(options.port);
  int failed = ::getaddrinfo(options.listen.c_str(), port.c_str(), &hints, &found);
  std::string reason = failed != 0 ? ::gai_strerror(failed) : "no address";
  Socket socket;
  for (addrinfo* at = found; at != nullptr && !socket; at = at->ai_next) {
    Socket candidate(::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol));
    if (!candidate) continue;
    int on = 1;
    ::setsockopt(candidate.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (::bind(candidate.get(), at->ai_addr, at->ai_addrlen) == 0 &&
        ::listen(candidate.get(), 64) == 0) {
      socket = std::move(candidate);
    } else {
      reason = std::strerror(errno);
    }
  }
  if (found != nullptr) ::freeaddrinfo(found);
  if (!socket) {
    throw Error(errors::bad_address, {.what = "the coordinator cannot listen",
                                      .where = options.listen + ":" + port,
                                      .found = reason,
                                      .expected = "a free address of this machine",
                                      .remedy = "check `listen`, and that no other coordinator "
                                                "runs there"});
  }
  return socket;
}

std::uint16_t port_of(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  if (address.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

class Road final : public TlsCoordinatorRoad {
 public:
  Road(const TlsCoordinatorOptions& options, const crypto::SigningKey& tls, std::string_view name,
       const PeerDirectory& peers)
      : options_(options),
        peers_(peers),
        budget_(options.budget ? options.budget : std::make_shared<ByteBudget>(64ULL << 20U)),
        context_(TlsContext::Role::coordinator, tls, name,
                 [this](const crypto::VerifyKey& key) {
                   auto id = peers_.find_tls(key);
                   return id && *id != coordinator_id;
                 }),
        listener_(listen_on(options)),
        port_(port_of(listener_.get())) {
    options_.files->make_directories(options_.spill_folder);
  }
  ~Road() override { stop(); }

  void start(RoadHandler& handler) override {
    stopping_ = false;
    acceptor_ = std::thread([this, &handler] { accept_loop(handler); });
  }

  void stop() override {
    stopping_ = true;
    if (acceptor_.joinable()) acceptor_.join();
    {
      std::lock_guard lock(mutex_);
      for (auto& guest : guests_) guest.stream->interrupt();
    }
    // No new guests from here on: the acceptor is gone.
    for (auto& guest : guests_) guest.thread.join();
    guests_.clear();
  }

  std::vector<SiteId> connected() override {
    std::lock_guard lock(mutex_);
    std::vector<SiteId> ids;
    for (const auto& guest : guests_) {
      if (guest.peer && !guest.done && !guest.replaced) ids.push_back(*guest.peer);
    }
    return ids;
  }
  std::uint16_t bound_port() const override { return port_; }
  std::uint64_t peak_in_flight_bytes() const override { return budget_->peak_bytes(); }

 private:
  struct Guest {
    std::unique_ptr<TlsStream> stream;
    std::thread thread;
    std::optional<SiteId> peer{};
    unsigned number = 0;
    bool replaced = false;  ///< its site has a newer connection; its thread is about to end
    bool done = false;
  };

  void accept_loop(RoadHandler& handler) {
    unsigned number = 0;
    while (!stopping_) {
      reap();
      if (!wait_socket(listener_.get(), false, accept_slice)) continue;
      Socket socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!socket) {
        // Out of descriptors, say: the connections that are there go on.
        std::this_thread::sleep_for(accept_slice);
        continue;
      }
      try {
        std::lock_guard lock(mutex_);
        drop_oldest_stranger();
        Guest& guest = guests_.emplace_back();
        guest.number = number++;
        guest.stream = std::make_unique<TlsStream>(context_, std::move(socket));
        guest.thread = std::thread([this, &guest, &handler] { serve(guest, handler); });
      } catch (const std::exception& error) {
        log::warn(std::string("a connection was not taken: ") + error.what());
        std::lock_guard lock(mutex_);
        if (!guests_.empty() && !guests_.back().thread.joinable()) guests_.pop_back();
      }
    }
  }

  /// Who floods the port with handshakes pushes out only other strangers. @pre locked.
  void drop_oldest_stranger() {
    unsigned strangers = 0;
    Guest* oldest = nullptr;
    for (auto& guest : guests_) {
      if (guest.peer || guest.done) continue;
      ++strangers;
      if (oldest == nullptr) oldest = &guest;
    }
    if (strangers >= options_.max_strangers && oldest != nullptr) oldest->stream->interrupt();
  }

  void reap() {
    std::list<Guest> finished;
    std::lock_guard lock(mutex_);
    for (auto it = guests_.begin(); it != guests_.end();) {
      auto next = std::next(it);
      if (it->done) finished.splice(finished.end(), guests_, it);
      it = next;
    }
    for (auto& guest : finished) guest.thread.join();
  }

  void serve(Guest& guest, RoadHandler& handler) {
    std::string who = "a stranger";
    try {
      guest.stream->handshake(options_.handshake_limit);
      auto peer = peers_.find_tls(guest.stream->peer_key());
      if (peer) {
        who = peers_.at(*peer).name;
        admit(guest, *peer);
        Spill spill(*options_.files, options_.spill_folder /
                                         ("connection-" + std::to_string(guest.number) + ".spill"));
        TlsConnection connection(*guest.stream, *peer, handler, *budget_, spill,
                                 {idle_limit, options_.stall_limit}, stopping_);
        connection.serve();
      }
    } catch (const Error& error) {
      if (!stopping_) log::debug("connection of " + who + " ended: " + error.what());
    } catch (const std::exception& error) {
      log::error("connection of " + who + " ended: " + error.what());
    }
    std::lock_guard lock(mutex_);
    // The thread ends with this: the stream itself is freed by reap() or stop().
    guest.stream->interrupt();
    guest.done = true;
  }

  /// A site's newer connection replaces its older one, which may hang in a dead network.
  void admit(Guest& guest, SiteId peer) {
    std::lock_guard lock(mutex_);
    for (auto& other : guests_) {
      if (&other == &guest || other.peer != peer || other.done) continue;
      other.replaced = true;
      other.stream->interrupt();
    }
    guest.peer = peer;
  }

  TlsCoordinatorOptions options_;
  PeerDirectory peers_;
  std::shared_ptr<ByteBudget> budget_;
  TlsContext context_;
  Socket listener_;
  std::uint16_t port_;
  std::thread acceptor_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;  ///< of guests_ and their fields, but for the stream's own use by its thread
  std::list<Guest> guests_;
};

}  // namespace

std::unique_ptr<TlsCoordinatorRoad> make_tls_coordinator_road(const TlsCoordinatorOptions& options,
                                                              const crypto::SigningKey& tls,
                                                              std::string_view name,
                                                              const PeerDirectory& peers) {
  return std::make_unique<Road>(options, tls, name, peers);
}

}  // namespace concordat::border
