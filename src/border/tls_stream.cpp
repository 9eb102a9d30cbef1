#include "border/tls_stream.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "concordat/border/errors.hpp"
#include "concordat/crypto/certificate.hpp"
#include "concordat/crypto/errors.hpp"

namespace concordat::border {
namespace {

[[noreturn]] void down(const char* what, std::string found) {
  throw Error(errors::road_down, {.what = std::string("the connection failed to ") + what,
                                  .where = "tls road",
                                  .found = std::move(found),
                                  .expected = {},
                                  .remedy = "it is tried again"});
}

// OpenSSL's own socket BIO writes with write(2), which raises SIGPIPE; this one does not.
int bio_write(BIO* bio, const char* bytes, int count) {
  int fd = static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
  BIO_clear_retry_flags(bio);
  ssize_t done = ::send(fd, bytes, static_cast<std::size_t>(count), MSG_NOSIGNAL);
  if (done < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(done);
}

int bio_read(BIO* bio, char* bytes, int count) {
  int fd = static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
  BIO_clear_retry_flags(bio);
  ssize_t done = ::recv(fd, bytes, static_cast<std::size_t>(count), 0);
  if (done < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  return static_cast<int>(done);
}

long bio_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

BIO_METHOD* bio_method() {
  // Made once, kept for the program's life: a pointer, so nothing is destroyed at exit.
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    if (made != nullptr) {
      BIO_meth_set_write(made, bio_write);
      BIO_meth_set_read(made, bio_read);
      BIO_meth_set_ctrl(made, bio_control);
    }
    return made;
  }();
  return method;
}

int clamp_count(std::size_t size) { return static_cast<int>(std::min<std::size_t>(size, INT_MAX)); }

}  // namespace

void SocketTraits::destroy(Handle fd) noexcept { ::close(fd); }
void SslTraits::destroy(Handle handle) noexcept { SSL_free(handle); }

bool wait_socket(int fd, bool writable, std::chrono::milliseconds limit) {
  auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    pollfd entry{fd, static_cast<short>(writable ? POLLOUT : POLLIN), 0};
    auto wait_ms = std::clamp<std::int64_t>(left.count(), 0, INT_MAX);
    int ready = ::poll(&entry, 1, static_cast<int>(wait_ms));
    if (ready > 0) return true;
    if (ready == 0 && left.count() <= 0) return false;
    if (ready < 0 && errno != EINTR) return true;  // the next call on it says what is wrong
  }
}

TlsStream::TlsStream(const TlsContext& context, Socket socket) : socket_(std::move(socket)) {
  int fd = socket_.get();
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL, 0) | O_NONBLOCK);
  int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  ssl_.reset(SSL_new(context.get()));
  BIO* bio = bio_method() != nullptr ? BIO_new(bio_method()) : nullptr;
  if (!ssl_ || bio == nullptr) {
    BIO_free(bio);
    throw Error(
        crypto::errors::library_failed,
        {.what = "cannot make a TLS connection", .where = "tls road", .found = openssl_reason()});
  }
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  if (context.role() == TlsContext::Role::coordinator) {
    SSL_set_accept_state(ssl_.get());
  } else {
    SSL_set_connect_state(ssl_.get());
  }
}

void TlsStream::wait(int result, Limit limit, const char* what) {
  int reason = SSL_get_error(ssl_.get(), result);
  bool writable = reason == SSL_ERROR_WANT_WRITE;
  if (!writable && reason != SSL_ERROR_WANT_READ) {
    down(what, openssl_reason());
  }
  if (!wait_socket(socket_.get(), writable, limit)) {
    down(what, "no progress for " + std::to_string(limit.count()) + " ms");
  }
}

void TlsStream::handshake(Limit limit) {
  auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    ERR_clear_error();
    int result = SSL_do_handshake(ssl_.get());
    if (result == 1) break;
    if (SSL_get_verify_result(ssl_.get()) == X509_V_ERR_CERT_UNTRUSTED) {
      ERR_clear_error();
      throw Error(errors::unknown_peer, {.what = "the other end has a key that is not pinned",
                                         .where = "tls road",
                                         .found = "a certificate of another key",
                                         .expected = "the TLS key in the roster",
                                         .remedy = "check address and roster"});
    }
    auto left = std::chrono::duration_cast<Limit>(end - std::chrono::steady_clock::now());
    wait(result, std::max(left, Limit(0)), "shake hands");
  }
  if (SSL_version(ssl_.get()) != TLS1_3_VERSION || SSL_session_reused(ssl_.get()) == 1) {
    down("shake hands", "not a fresh TLS 1.3 session");
  }
  const unsigned char* protocol = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(ssl_.get(), &protocol, &length);
  if (length == 0) down("shake hands", "the other end does not speak this road's protocol");
}

crypto::VerifyKey TlsStream::peer_key() const {
  X509* certificate = SSL_get0_peer_certificate(ssl_.get());
  crypto::VerifyKey key;
  std::size_t length = key.bytes.size();
  EVP_PKEY* pkey = certificate != nullptr ? X509_get0_pubkey(certificate) : nullptr;
  if (pkey == nullptr || EVP_PKEY_get_raw_public_key(pkey, key.bytes.data(), &length) != 1 ||
      length != key.bytes.size()) {
    down("name the peer", openssl_reason());
  }
  return key;
}

bool TlsStream::resumable() const {
  SSL_SESSION* session = SSL_get0_session(ssl_.get());
  return session != nullptr && SSL_SESSION_is_resumable(session) == 1;
}

void TlsStream::read(ByteSpan into, Limit first, Limit stall) {
  Limit limit = first;
  while (!into.empty()) {
    ERR_clear_error();
    int done = SSL_read(ssl_.get(), into.data(), clamp_count(into.size()));
    if (done > 0) {
      into = into.subspan(static_cast<std::size_t>(done));
      limit = stall;
    } else {
      wait(done, limit, "read");
    }
  }
}

void TlsStream::write(ByteView bytes, Limit stall) {
  while (!bytes.empty()) {
    ERR_clear_error();
    int done = SSL_write(ssl_.get(), bytes.data(), clamp_count(bytes.size()));
    if (done > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(done));
    } else {
      wait(done, stall, "write");
    }
  }
}

void TlsStream::interrupt() noexcept { ::shutdown(socket_.get(), SHUT_RDWR); }

}  // namespace concordat::border
