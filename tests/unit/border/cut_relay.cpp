#include "unit/border/cut_relay.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <stdexcept>

namespace concordat::border::testing {
namespace {

sockaddr_in local(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

CutRelay::CutRelay(std::uint16_t target)
    : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), target_(target) {
  sockaddr_in address = local(0);
  socklen_t length = sizeof(address);
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::listen(listener_, 16) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    throw std::runtime_error("no relay to test with");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

CutRelay::~CutRelay() {
  over_ = true;
  thread_.join();
  for (const Pair& pair : pairs_) {
    ::close(pair.near);
    ::close(pair.far);
  }
  ::close(listener_);
}

void CutRelay::accept_one() {
  Pair pair{::accept(listener_, nullptr, nullptr), ::socket(AF_INET, SOCK_STREAM, 0)};
  sockaddr_in address = local(target_);
  // Else a small packet waits 40 ms for the answer to the one before.
  const int on = 1;
  ::setsockopt(pair.near, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  ::setsockopt(pair.far, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (::connect(pair.far, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
    pairs_.push_back(pair);
  } else {
    ::close(pair.near);
    ::close(pair.far);
  }
}

bool CutRelay::pass(const Pair& pair, bool forth) {
  std::uint8_t bytes[1U << 16U];
  const ssize_t count = ::recv(forth ? pair.near : pair.far, bytes, sizeof(bytes), 0);
  if (count <= 0) return false;
  const Direction direction = forth ? Direction::forth : Direction::back;
  Direction wanted = direction;
  if (cut_.compare_exchange_strong(wanted, Direction::none)) return false;
  for (ssize_t at = 0; at < count;) {
    const ssize_t sent = ::send(forth ? pair.far : pair.near, bytes + at,
                                static_cast<std::size_t>(count - at), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    at += sent;
  }
  return true;
}

void CutRelay::run() {
  while (!over_) {
    std::vector<pollfd> sockets{{listener_, POLLIN, 0}};
    for (const Pair& pair : pairs_) {
      sockets.push_back({pair.near, POLLIN, 0});
      sockets.push_back({pair.far, POLLIN, 0});
    }
    if (::poll(sockets.data(), sockets.size(), 20) <= 0) continue;
    std::size_t at = 1;
    for (auto pair = pairs_.begin(); pair != pairs_.end(); at += 2) {
      const bool alive = (sockets[at].revents == 0 || pass(*pair, true)) &&
                         (sockets[at + 1].revents == 0 || pass(*pair, false));
      if (!alive) {
        ::close(pair->near);
        ::close(pair->far);
      }
      pair = alive ? std::next(pair) : pairs_.erase(pair);
    }
    if (sockets[0].revents != 0) accept_one();
  }
}

}  // namespace concordat::border::testing
