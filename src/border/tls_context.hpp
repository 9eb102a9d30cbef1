// One SSL_CTX, set up so that only pinned keys, TLS 1.3 and one suite are possible.
#pragma once

#include <functional>
#include <string_view>

#include "concordat/core/unique_handle.hpp"
#include "concordat/crypto/keys.hpp"

struct ssl_ctx_st;

namespace concordat::border {

struct SslContextTraits {
  using Handle = ssl_ctx_st*;
  static constexpr Handle empty() { return nullptr; }
  static void destroy(Handle handle) noexcept;
};

class TlsContext {
 public:
  enum class Role { site, coordinator };
  /// Whether a peer with this key may connect. Called from connection threads.
  using Accepts = std::function<bool(const crypto::VerifyKey&)>;
  TlsContext(Role role, const crypto::SigningKey& key, std::string_view name, Accepts accepts);
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  ssl_ctx_st* get() const { return context_.get(); }
  Role role() const { return role_; }
  bool accepts(const crypto::VerifyKey& key) const { return accepts_(key); }

 private:
  Role role_;
  Accepts accepts_;
  UniqueHandle<SslContextTraits> context_;
};

/// The last OpenSSL error of this thread as text; clears the queue.
std::string openssl_reason();

}  // namespace concordat::border
