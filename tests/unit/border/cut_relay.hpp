// CutRelay: a TCP relay on this machine that passes bytes on until a test cuts it.
//
//   CutRelay relay(hub_port);
//   dial("127.0.0.1", relay.port());
//   relay.cut_at_next(CutRelay::Direction::back);   // the next bytes from the hub never arrive
//
// A cut closes both sides of every connection at once; later connections pass again.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <list>
#include <thread>
#include <vector>

#include "concordat/core/bytes.hpp"

namespace concordat::border::testing {

class CutRelay {
 public:
  enum class Direction { none, forth, back };

  explicit CutRelay(std::uint16_t target);
  CutRelay(const CutRelay&) = delete;
  CutRelay& operator=(const CutRelay&) = delete;
  ~CutRelay();
  std::uint16_t port() const { return port_; }
  /// Where connections made from now on lead.
  void lead_to(std::uint16_t target) { target_ = target; }
  void cut_at_next(Direction direction) { cut_ = direction; }

 private:
  struct Pair {
    int near = -1;
    int far = -1;
  };
  void run();
  void accept_one();
  /// False when the pair is over.
  bool pass(const Pair& pair, bool forth);

  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<std::uint16_t> target_;
  std::atomic<Direction> cut_{Direction::none};
  std::atomic<bool> over_{false};
  std::list<Pair> pairs_;
  std::thread thread_;
};

}  // namespace concordat::border::testing
