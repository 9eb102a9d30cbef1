#include "network.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <iterator>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include "concordat/core/bytes.hpp"

namespace cuda_emulator {
namespace {

using concordat::ByteReader;
using concordat::Bytes;
using concordat::ByteView;
using concordat::ByteWriter;

constexpr std::uint64_t most_bytes = std::uint64_t{1} << 30U;

sockaddr_un address_of(int process, socklen_t* length) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // No file: the first byte of an abstract name is zero.
  const std::string name = "emulated-nccl-" + std::to_string(process);
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  *length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return address;
}

Bytes packed(const Post& post) {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(post.kind));
  out.sized(post.key.group);
  out.i64(post.key.from);
  out.i64(post.key.to);
  out.u64(post.key.nth);
  out.i64(post.slot);
  out.i64(post.slots);
  out.i64(post.demand.kind);
  out.u64(post.demand.count);
  out.i64(post.demand.type);
  out.i64(post.demand.op);
  out.i64(post.demand.root);
  out.sized(post.text);
  out.i64(post.process);
  out.sized(
      std::string_view(reinterpret_cast<const char*>(post.operand.data()), post.operand.size()));
  return std::move(out).bytes();
}

Post unpacked(ByteView bytes) {
  ByteReader in(bytes, "a post of the emulated NCCL");
  const auto number = [&] { return static_cast<int>(in.i64()); };
  Post post;
  post.kind = static_cast<Post::Kind>(in.u8());
  post.key.group = in.sized_string(bytes.size());
  post.key.from = number();
  post.key.to = number();
  post.key.nth = in.u64();
  post.slot = number();
  post.slots = number();
  post.demand.kind = number();
  post.demand.count = in.u64();
  post.demand.type = number();
  post.demand.op = number();
  post.demand.root = number();
  post.text = in.sized_string(bytes.size());
  post.process = number();
  const std::string operand = in.sized_string(bytes.size());
  const auto* begin = reinterpret_cast<const std::byte*>(operand.data());
  post.operand.assign(begin, begin + operand.size());
  return post;
}

/// What came from one process and is not a whole post yet.
struct Incoming {
  int socket;
  Bytes bytes{};
};

class Network {
 public:
  void start() {
    if (listener_ >= 0) return;
    socklen_t length = 0;
    const sockaddr_un address = address_of(::getpid(), &length);
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
        ::listen(listener_, 64) != 0) {
      throw std::runtime_error("no socket for the emulated NCCL");
    }
    std::thread([this] { read_all(); }).detach();
    std::thread([this] { serve(); }).detach();
  }

  /// Blocks at most until the other process has read, which it does whoever holds its machine: two
  /// that send each other more than a socket holds would wait for each other otherwise.
  void send(int process, const Bytes& bytes) {
    const int socket = connected(process);
    ByteWriter head;
    head.u64(bytes.size());
    for (const Bytes& each : {head.bytes(), bytes}) {
      for (std::size_t at = 0; at < each.size();) {
        const ssize_t sent = ::send(socket, each.data() + at, each.size() - at, MSG_NOSIGNAL);
        if (sent <= 0) return;  // it is gone; its launcher tells
        at += static_cast<std::size_t>(sent);
      }
    }
  }

 private:
  int connected(int process) {
    int& socket = outgoing_.try_emplace(process, -1).first->second;
    if (socket >= 0) return socket;
    socklen_t length = 0;
    const sockaddr_un address = address_of(process, &length);
    socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    static_cast<void>(::connect(socket, reinterpret_cast<const sockaddr*>(&address), length));
    return socket;
  }

  /// Takes what comes off the sockets, and needs no lock that a sender may hold.
  void read_all() {
    std::vector<Incoming> incoming;
    for (;;) {
      std::vector<pollfd> polled{{listener_, POLLIN, 0}};
      for (const Incoming& each : incoming) polled.push_back({each.socket, POLLIN, 0});
      ::poll(polled.data(), polled.size(), -1);
      std::vector<Post> posts;
      for (std::size_t i = 1; i < polled.size(); ++i) {
        if (polled[i].revents != 0) read(incoming[i - 1], posts);
      }
      if ((polled[0].revents & POLLIN) != 0) {
        incoming.push_back({::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)});
      }
      std::erase_if(incoming, [](const Incoming& each) { return each.socket < 0; });
      const std::lock_guard lock(came_mutex_);
      std::ranges::move(posts, std::back_inserter(came_));
      something_came_.notify_one();
    }
  }

  /// Applies it. Also without a post it looks: what came may be for work that was asked for since.
  void serve() {
    for (bool late = false;;) {
      std::vector<Post> posts;
      {
        std::unique_lock lock(came_mutex_);
        something_came_.wait_for(lock, std::chrono::milliseconds(late ? 1 : 5),
                                 [this] { return !came_.empty(); });
        posts.swap(came_);
      }
      const std::lock_guard lock(machine().mutex);
      for (const Post& post : posts) exchange().apply(post);
      late = exchange().serve();  // something is here that this process has not come to
    }
  }

  static void read(Incoming& from, std::vector<Post>& posts) {
    std::uint8_t some[1 << 16];
    const ssize_t got = ::recv(from.socket, some, sizeof some, 0);
    if (got <= 0) {
      ::close(from.socket);
      from.socket = -1;
      return;
    }
    from.bytes.insert(from.bytes.end(), some, some + got);
    while (from.bytes.size() >= 8) {
      ByteReader head(ByteView(from.bytes).first(8), "a post's length");
      const std::uint64_t length = head.u64();
      if (length > most_bytes) std::abort();  // a bug of this file
      if (from.bytes.size() - 8 < length) return;
      posts.push_back(unpacked(ByteView(from.bytes).subspan(8, length)));
      from.bytes.erase(from.bytes.begin(),
                       from.bytes.begin() + static_cast<std::ptrdiff_t>(8 + length));
    }
  }

  int listener_ = -1;
  std::map<int, int> outgoing_;
  std::mutex came_mutex_;
  std::condition_variable something_came_;
  std::vector<Post> came_;  ///< read and not applied
};

Network& network() {
  static Network& the = *new Network();
  return the;
}

/// The process that made the group: "emulated PROCESS NUMBER".
int maker_of(const std::string& group) { return std::stoi(group.substr(group.find(' ') + 1)); }

void send_all(const std::set<int>& processes, const Post& post) {
  const Bytes bytes = packed(post);
  for (const int process : processes) {
    if (process != network_address()) network().send(process, bytes);
  }
}

}  // namespace

int network_address() { return ::getpid(); }

void network_start() { network().start(); }

std::string network_id() {
  static int made = 0;
  network_start();
  return "emulated " + std::to_string(network_address()) + " " + std::to_string(++made);
}

void network_send(const Post& post) {
  const Group& group = exchange().group(post.key.group, post.key.from < 0 ? post.slots : 0);
  if (post.kind == Post::Kind::joins) {
    send_all({maker_of(post.key.group)}, post);
  } else if (post.key.from >= 0) {
    send_all({group.processes[static_cast<std::size_t>(post.key.from)],
              group.processes[static_cast<std::size_t>(post.key.to)]},
             post);
  } else {
    std::set<int> known(group.processes.begin(), group.processes.end());
    known.erase(0);
    send_all(known, post);
  }
}

void network_introduce(const std::string& id, const Group& group) {
  if (maker_of(id) != network_address()) return;
  const std::set<int> processes(group.processes.begin(), group.processes.end());
  for (std::size_t r = 0; r < group.who.size(); ++r) {
    send_all(processes, {.kind = Post::Kind::joins,
                         .key = {.group = id},
                         .slot = static_cast<int>(r),
                         .slots = static_cast<int>(group.who.size()),
                         .text = group.who[r],
                         .process = group.processes[r]});
  }
}

}  // namespace cuda_emulator
