// Reach: how far a connection to a coordinator gets before TLS, and which step fails.
//
//   Address hub = parse_address("hub.example.org:7443", "the roster's address");
//   Reach reach = reach_out(hub, std::chrono::seconds(5));
//   if (reach.step == Reach::Step::resolve) ...   // no such name: reach.reason says why
//
// Sends nothing. Threads: any. Cost: one look-up of the name, which has no limit but the
// resolver's, and at most `limit` for each address.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::border {

struct Address {
  std::string host;
  std::uint16_t port = 0;
};

/// Port 0 lets the system choose one to listen on, and cannot be dialled.
enum class Port { to_dial, to_listen };

/// "HOST:PORT" or "[V6]:PORT". @throws Error(border.bad_address) naming `where`.
Address parse_address(std::string_view text, std::string_view where, Port use = Port::to_dial);

struct Reach {
  /// The step that failed, or `connected`.
  enum class Step { resolve, connect, connected };
  enum class Failure { none, refused, timed_out, other };
  Step step = Step::resolve;
  Failure failure = Failure::none;   ///< of the last address that was tried
  std::string reason{};              ///< the system's words for it
  std::vector<std::string> found{};  ///< numeric addresses of the name, in the order of trial
  std::chrono::milliseconds took{};  ///< to connect
};

/// Looks the name up and connects over TCP; the connection is closed again. Throws nothing of the
/// network.
Reach reach_out(const Address& to, std::chrono::milliseconds limit);

}  // namespace concordat::border
