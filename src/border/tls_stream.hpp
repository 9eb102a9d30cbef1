// TlsStream: one TLS connection over one socket, with a limit on every wait.
//
//   TlsStream stream(context, std::move(socket));
//   stream.handshake(10s);
//   stream.write(bytes, 30s);           // 30 s without progress: Error(road_down)
//   stream.read(into, 30s);
//
// Threads: one at a time, except interrupt(). Failure: Error(road_down), also at the end of stream;
// Error(unknown_peer) when the other end's key is not the pinned one.
#pragma once

#include <chrono>
#include <memory>

#include "border/tls_context.hpp"
#include "concordat/core/bytes.hpp"

struct ssl_st;

namespace concordat::border {

struct SocketTraits {
  using Handle = int;
  static constexpr Handle empty() { return -1; }
  static void destroy(Handle fd) noexcept;
};
using Socket = UniqueHandle<SocketTraits>;

struct SslTraits {
  using Handle = ssl_st*;
  static constexpr Handle empty() { return nullptr; }
  static void destroy(Handle handle) noexcept;
};

class TlsStream {
 public:
  using Limit = std::chrono::milliseconds;
  /// The socket becomes non-blocking.
  TlsStream(const TlsContext& context, Socket socket);
  void handshake(Limit limit);
  /// The key that the peer proved to hold. @pre handshake.
  crypto::VerifyKey peer_key() const;
  /// Whether the peer gave anything that a later connection could resume; never true here.
  bool resumable() const;
  /// Fills all of `into`. `first` limits the wait for the first byte.
  void read(ByteSpan into, Limit first, Limit stall);
  void write(ByteView bytes, Limit stall);
  /// Any thread: ends every wait of this connection, at once and for good.
  void interrupt() noexcept;

 private:
  void wait(int result, Limit limit, const char* what);
  Socket socket_;
  UniqueHandle<SslTraits> ssl_;
};

/// Waits until the socket is readable (or writable); false when the limit is over.
bool wait_socket(int fd, bool writable, std::chrono::milliseconds limit);

}  // namespace concordat::border
