// The tls road: TLS 1.3 over TCP, both ends authenticated by Ed25519 keys that the directory pins.
// No resumption, no tickets, no early data, one cipher suite. Format: docs/formats/tls-road.md.
//
//   TlsCoordinatorOptions serve{.listen = "0.0.0.0", .port = 7443};
//   auto coordinator = make_tls_coordinator_road(serve, keys.tls, "hub", peers);
//   TlsSiteOptions dial{.host = "hub.example.org", .port = 7443};
//   auto site = make_tls_site_road(dial, keys.tls, "alba", peers);   // connects when first used
//
// The coordinator runs one thread per connection. What arrives slowly goes piece by piece into a
// spill file; only when it is whole are its bytes reserved in the one budget and brought into
// memory. So a slow or hostile peer costs one piece of memory and blocks nobody. A connection that
// idles in a handshake or inside a request is dropped; a site's second connection replaces its
// first; of unauthenticated ones the oldest gives way.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "concordat/border/budget.hpp"
#include "concordat/border/road.hpp"
#include "concordat/core/file.hpp"

namespace concordat::border {

struct TlsCoordinatorOptions {
  std::string listen = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: any free port; see bound_port()
  /// One bound on bytes in flight, shared with whoever sums; 64 MiB of its own if none is given.
  std::shared_ptr<ByteBudget> budget{};
  /// Where frames lie while they cross a slow connection; sealed bytes, worthless after a crash.
  FileSystem::Path spill_folder = ".";
  FileSystem* files = &posix_files();
  std::chrono::milliseconds handshake_limit{10'000};
  std::chrono::milliseconds stall_limit{30'000};  ///< longest pause inside a request
  unsigned max_strangers = 16;                    ///< connections that have not authenticated
};

struct TlsSiteOptions {
  std::string host;
  std::uint16_t port = 0;
  std::chrono::milliseconds connect_limit{10'000};
  std::chrono::milliseconds stall_limit{30'000};
};

/// A CoordinatorRoad that knows its port.
class TlsCoordinatorRoad : public CoordinatorRoad {
 public:
  virtual std::uint16_t bound_port() const = 0;
  /// Most bytes that were in flight at once, for tests and the status page.
  virtual std::uint64_t peak_in_flight_bytes() const = 0;
};

/// Binds at once. `peers` is copied. @throws Error(io_failed) if the address is taken.
std::unique_ptr<TlsCoordinatorRoad> make_tls_coordinator_road(const TlsCoordinatorOptions& options,
                                                              const crypto::SigningKey& tls,
                                                              std::string_view name,
                                                              const PeerDirectory& peers);
/// Connects when first used and again after every loss. @throws nothing of the network here.
std::unique_ptr<SiteRoad> make_tls_site_road(const TlsSiteOptions& options,
                                             const crypto::SigningKey& tls, std::string_view name,
                                             const PeerDirectory& peers);

}  // namespace concordat::border
