#include "border/dial.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "concordat/border/errors.hpp"

namespace concordat::border {
namespace {

std::string numeric(const addrinfo& at) {
  std::array<char, NI_MAXHOST> text{};
  if (::getnameinfo(at.ai_addr, at.ai_addrlen, text.data(), text.size(), nullptr, 0,
                    NI_NUMERICHOST) != 0) {
    return "an address without a number";
  }
  return text.data();
}

Reach::Failure kind_of(int error) {
  if (error == ECONNREFUSED) return Reach::Failure::refused;
  if (error == ETIMEDOUT) return Reach::Failure::timed_out;
  return Reach::Failure::other;
}

/// 0 once connected, otherwise errno.
int connect_to(int fd, const addrinfo& at, std::chrono::milliseconds limit) {
  if (::connect(fd, at.ai_addr, at.ai_addrlen) == 0) return 0;
  int error = errno;
  if (error != EINPROGRESS) return error;
  if (!wait_socket(fd, true, limit)) return ETIMEDOUT;
  socklen_t length = sizeof(error);
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  return error;
}

}  // namespace

Address parse_address(std::string_view text, std::string_view where, Port use) {
  Address address;
  const std::size_t colon = text.rfind(':');
  if (colon != std::string_view::npos && colon > 0) {
    std::string_view host = text.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
      host = host.substr(1, host.size() - 2);
    }
    const char* end = text.data() + text.size();
    auto [at, status] = std::from_chars(text.data() + colon + 1, end, address.port);
    if (status == std::errc() && at == end && (address.port != 0 || use == Port::to_listen)) {
      address.host = host;
      return address;
    }
  }
  throw Error(errors::bad_address,
              {.what = "this is no address",
               .where = std::string(where),
               .found = text.empty() ? "nothing" : std::string(text),
               .expected = "HOST:PORT",
               .remedy = "write hub.example.org:7443, say; an IPv6 address in brackets"});
}

Dialled dial(const Address& to, std::chrono::milliseconds limit) {
  Dialled made;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failed =
      ::getaddrinfo(to.host.c_str(), std::to_string(to.port).c_str(), &hints, &found);
  made.reach.reason = failed != 0 ? ::gai_strerror(failed) : "no address";
  const auto begin = std::chrono::steady_clock::now();
  for (addrinfo* at = found; at != nullptr; at = at->ai_next) {
    made.reach.found.push_back(numeric(*at));
    if (made.socket) continue;
    made.reach.step = Reach::Step::connect;
    Socket candidate(
        ::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol));
    const int error = candidate ? connect_to(candidate.get(), *at, limit) : errno;
    if (error == 0) {
      made.socket = std::move(candidate);
      made.reach.took = std::chrono::duration_cast<std::chrono::milliseconds>(
          std::chrono::steady_clock::now() - begin);
    } else {
      made.reach.reason = std::strerror(error);
      made.reach.failure = kind_of(error);
    }
  }
  if (found != nullptr) ::freeaddrinfo(found);
  if (made.socket) {
    made.reach.step = Reach::Step::connected;
    made.reach.failure = Reach::Failure::none;
    made.reach.reason.clear();
  }
  return made;
}

Reach reach_out(const Address& to, std::chrono::milliseconds limit) {
  return dial(to, limit).reach;
}

}  // namespace concordat::border
