// ExchangeSecrets: one encrypted file per exchange for what must survive a crash and die at closing
// (fresh private keys, seeds, frame keys). Format: docs/formats/journal.md.
//
//   ExchangeSecrets secrets(fs, "alba/journal/secrets", keys.data_key.view(), federation, random);
//   secrets.save(exchange, encoded.view());          // durable, replaces the earlier state
//   std::optional<SecretBytes> again = secrets.load(exchange);
//   secrets.erase(exchange);                         // at closing: unlinked, folder synced
//
// Each file has a key of its own (HKDF of the data key, a fresh salt, federation and exchange), so
// a file that is copied to another exchange's name does not open. Threads: one at a time. Unlinking
// is no wiping: old bytes may stay on the medium, sealed under the data key.
#pragma once

#include <optional>
#include <vector>

#include "concordat/core/file.hpp"
#include "concordat/core/ids.hpp"
#include "concordat/crypto/random.hpp"

namespace concordat::crypto {

class ExchangeSecrets {
 public:
  /// Makes the folder. `fs` and `random` must outlive this. @pre data_key has 32 bytes.
  ExchangeSecrets(FileSystem& fs, FileSystem::Path folder, ByteView data_key,
                  const Digest& federation, SecureRandom& random);
  /// Replaces the exchange's secrets atomically; durable when it returns.
  void save(const ExchangeId& exchange, ByteView secrets);
  /// nullopt if there are none. @throws Error(open_failed) naming the file when it does not open.
  std::optional<SecretBytes> load(const ExchangeId& exchange);
  /// Unlinks; true if there was something. Idempotent.
  bool erase(const ExchangeId& exchange);
  /// Exchanges with a file, in order.
  std::vector<ExchangeId> open_exchanges();

 private:
  FileSystem::Path path_of(const ExchangeId& exchange) const;
  FileSystem& fs_;
  FileSystem::Path folder_;
  SecretBytes data_key_;
  Digest federation_;
  SecureRandom& random_;
};

}  // namespace concordat::crypto
