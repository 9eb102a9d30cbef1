#include "border/tls_context.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>

#include "border/road_protocol.hpp"
#include "concordat/crypto/certificate.hpp"
#include "concordat/crypto/errors.hpp"

namespace concordat::border {
namespace {

struct PrivateKeyTraits {
  using Handle = EVP_PKEY*;
  static constexpr Handle empty() { return nullptr; }
  static void destroy(Handle handle) noexcept { EVP_PKEY_free(handle); }
};

void require(bool good, const char* what) {
  if (good) return;
  throw Error(crypto::errors::library_failed, {.what = std::string("cannot ") + what,
                                               .where = "tls road",
                                               .found = openssl_reason(),
                                               .expected = "OpenSSL 3 with TLS 1.3 and Ed25519",
                                               .remedy = "check the installation of OpenSSL"});
}

// Replaces OpenSSL's chain building: the certificate counts for nothing, its key for everything.
int check_pin(X509_STORE_CTX* store, void* argument) {
  const auto& context = *static_cast<const TlsContext*>(argument);
  X509* certificate = X509_STORE_CTX_get0_cert(store);
  EVP_PKEY* key = certificate != nullptr ? X509_get0_pubkey(certificate) : nullptr;
  crypto::VerifyKey pin;
  std::size_t length = pin.bytes.size();
  bool known = key != nullptr && EVP_PKEY_get_id(key) == EVP_PKEY_ED25519 &&
               EVP_PKEY_get_raw_public_key(key, pin.bytes.data(), &length) == 1 &&
               length == pin.bytes.size() && context.accepts(pin);
  X509_STORE_CTX_set_error(store, known ? X509_V_OK : X509_V_ERR_CERT_UNTRUSTED);
  return known ? 1 : 0;
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_length,
                    const unsigned char* in, unsigned int in_length, void*) {
  ByteView found = find_road_protocol({in, in_length});
  if (found.empty()) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = found.data();
  *out_length = static_cast<unsigned char>(found.size());
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

void SslContextTraits::destroy(Handle handle) noexcept { SSL_CTX_free(handle); }

std::string openssl_reason() {
  std::array<char, 256> text{};
  unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (code == 0) return "the connection was closed";
  ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

TlsContext::TlsContext(Role role, const crypto::SigningKey& key, std::string_view name,
                       Accepts accepts)
    : role_(role), accepts_(std::move(accepts)) {
  bool server = role == Role::coordinator;
  context_.reset(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()));
  SSL_CTX* context = context_.get();
  require(context != nullptr, "make a TLS context");
  require(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
              SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1,
          "restrict TLS to version 1.3");
  require(SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384") == 1, "set the suite");
  require(SSL_CTX_set1_groups_list(context, "X25519") == 1, "set the group");
  require(SSL_CTX_set1_sigalgs_list(context, "ed25519") == 1, "set the signature algorithm");
  require(SSL_CTX_set1_client_sigalgs_list(context, "ed25519") == 1, "set the client's algorithm");
  // Nothing of one connection is of use in another: no resumption, tickets or early data.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  require(SSL_CTX_set_num_tickets(context, 0) == 1, "forbid tickets");
  require(SSL_CTX_set_max_early_data(context, 0) == 1 &&
              SSL_CTX_set_recv_max_early_data(context, 0) == 1,
          "forbid early data");
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(context, check_pin, this);
  // A certificate of ours is some 300 bytes; a peer has no reason to send a chain.
  SSL_CTX_set_max_cert_list(context, 8192);

  crypto::TlsIdentity identity = crypto::make_tls_identity(key, name);
  require(SSL_CTX_use_certificate_ASN1(context, static_cast<int>(identity.certificate_der.size()),
                                       identity.certificate_der.data()) == 1,
          "use the certificate");
  const unsigned char* der = identity.private_key_der.view().data();
  UniqueHandle<PrivateKeyTraits> own(
      d2i_AutoPrivateKey(nullptr, &der, static_cast<long>(identity.private_key_der.size())));
  require(static_cast<bool>(own) && SSL_CTX_use_PrivateKey(context, own.get()) == 1,
          "use the private key");
  if (server) {
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  } else {
    std::string wire(1, static_cast<char>(road_alpn.size()));
    wire += road_alpn;
    require(SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(wire.data()),
                                    static_cast<unsigned>(wire.size())) == 0,
            "name the protocol");
  }
}

}  // namespace concordat::border
