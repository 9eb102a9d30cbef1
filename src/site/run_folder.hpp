// The run folder: where the ranks of a site and its border meet (docs/formats/run-folder.md).
//
//   RunFolder folder(fs, "alba/runs/demo");           // mode and owner are checked
//   folder.write_key(exchange, nonce, KeyFile{...});  // rank 0: here I am, with this state
//   for (const std::string& nonce : folder.key_nonces(exchange)) ...          // border
//   folder.write_secrets(exchange, nonce, seal_secrets(...));                 // border
//   folder.write_commit(exchange, record);            // rank 0, exclusively: the commit
//   folder.write_closed(exchange, record);            // border, at `closed`
//
// Every writer is atomic and durable; a reader sees a whole file or none. Threads: one per object.
// Failure: Error(site.bad_run_file) naming file and line, or the file seam's errors.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "concordat/core/file.hpp"
#include "concordat/core/ids.hpp"
#include "concordat/crypto/keys.hpp"
#include "concordat/exact/lanes.hpp"
#include "concordat/privacy/masks.hpp"

namespace concordat::site {

/// Blocks of the vector `update` that one rank wrote: [begin, end).
struct BlockRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  bool operator==(const BlockRange&) const = default;
};

/// outbox/round-R.F.A/key-NONCE: a job start or a round start. Its presence at the exchange of
/// round R says that the site holds the state of round R.
struct KeyFile {
  crypto::SealKey public_key;
  Digest state_digest;
  std::uint32_t num_ranks = 1;
  std::string generation;  ///< newest durable generation, or "none"
  bool operator==(const KeyFile&) const = default;
};

/// inbox/round-R.F.A/secrets-NONCE, sealed to the key of key-NONCE. After COMMIT the border
/// leaves `seeds` empty: a restarted job may redo its error feedback but can never mask again.
struct RankSecrets {
  Digest federation;
  Digest manifest;
  SiteId own{};
  std::vector<SiteId> participants;  ///< in roster order, own included
  privacy::PairSeeds seeds;          ///< empty after COMMIT
  crypto::SecretBytes rounding_key;  ///< 32 bytes
};

/// outbox/round-R.F.A/COMMIT: the masked upload of an exchange, fixed for ever.
struct CommitRecord {
  std::string try_nonce;
  Digest manifest;
  Digest state_digest;  ///< of the state that the update starts from
  exact::Lane lane = exact::Lane::u16;
  int block_log2 = 20;
  std::uint64_t num_elements = 0;
  std::string generation;          ///< end-of-round generation that holds base and theta
  std::vector<BlockRange> ranges;  ///< one per rank, contiguous from block 0
  std::vector<Digest> leaves;      ///< leaf hash of every `update` block
  Digest weight_leaf;              ///< leaf hash of the `weight` block
  bool operator==(const CommitRecord&) const = default;
};

/// inbox/round-R.F.A/CLOSED: the exchange is over and its aggregate is durable here, also of an
/// exchange that went without this site.
struct ClosedRecord {
  Digest manifest;
  std::vector<SiteId> survivors;
  std::uint64_t total_weight = 0;  ///< W
  Digest aggregate_root;           ///< Merkle root over `update` leaves, then the `weight` leaf
  Digest state_digest{};           ///< of the state that the exchange started from
  /// Whether this site is in the manifest. If not, the ranks need no secrets to take the outer
  /// step.
  bool took_part = true;
  bool operator==(const ClosedRecord&) const = default;
};

class RunFolder {
 public:
  using Path = FileSystem::Path;

  /// Creates what is missing (mode 0700). @throws Error(site.open_run_folder) when the folder
  /// exists with another owner or with permissions for group or others.
  RunFolder(FileSystem& fs, Path root);

  const Path& root() const { return root_; }
  FileSystem& files() const { return fs_; }
  Path outbox(const ExchangeId& exchange) const;
  Path inbox(const ExchangeId& exchange) const;
  Path checkpoints() const { return root_ / "checkpoints"; }

  // Keys and secrets.
  void write_key(const ExchangeId& exchange, std::string_view nonce, const KeyFile& key);
  /// Nonces of all key files, sorted by name.
  std::vector<std::string> key_nonces(const ExchangeId& exchange) const;
  /// Exchanges that have a folder in the outbox, ascending.
  std::vector<ExchangeId> in_outbox() const;
  KeyFile read_key(const ExchangeId& exchange, std::string_view nonce) const;
  void write_secrets(const ExchangeId& exchange, std::string_view nonce, ByteView sealed);
  std::optional<Bytes> read_secrets(const ExchangeId& exchange, std::string_view nonce) const;
  bool has_secrets(const ExchangeId& exchange, std::string_view nonce) const;
  /// Unlinks every secrets-* of the exchange (at closing).
  void erase_secrets(const ExchangeId& exchange);

  // Tries and the commit.
  Path try_folder(const ExchangeId& exchange, std::string_view try_nonce) const;
  /// try-NONCE/rank-N.blocks: the rank's `update` blocks, concatenated.
  Path blocks_file(const ExchangeId& exchange, std::string_view try_nonce, int rank) const;
  /// try-NONCE/rank-0.weight: the `weight` block, one 32-bit lane.
  Path weight_file(const ExchangeId& exchange, std::string_view try_nonce) const;
  /// Removes all tries. @throws Bug if COMMIT exists.
  void remove_tries(const ExchangeId& exchange);
  bool has_commit(const ExchangeId& exchange) const;
  std::optional<CommitRecord> read_commit(const ExchangeId& exchange) const;
  /// Exclusive and durable. @throws Error(already_exists) if the exchange is committed.
  void write_commit(const ExchangeId& exchange, const CommitRecord& record);

  // Downward. The border writes aggregate.* first and CLOSED last.
  /// inbox/.../aggregate.blocks: all `update` blocks of the sum, concatenated in order.
  Path aggregate_blocks(const ExchangeId& exchange) const;
  /// inbox/.../aggregate.weight: one 32-bit lane.
  Path aggregate_weight(const ExchangeId& exchange) const;
  /// inbox/.../aggregate.leaves: 32 bytes per `update` block, then the `weight` leaf.
  Path aggregate_leaves(const ExchangeId& exchange) const;
  bool has_closed(const ExchangeId& exchange) const;
  std::optional<ClosedRecord> read_closed(const ExchangeId& exchange) const;
  /// Replaces atomically, so that a restarted border may repeat it.
  void write_closed(const ExchangeId& exchange, const ClosedRecord& record);
  /// Removes outbox and inbox folders of an exchange that nobody needs any more.
  void remove_exchange(const ExchangeId& exchange);

 private:
  FileSystem& fs_;
  Path root_;
};

/// @throws Error(site.open_run_folder) unless the path is this user's alone.
void check_private(FileSystem& fs, const FileSystem::Path& path);

/// 16 random bytes in hex.
std::string make_nonce(crypto::SecureRandom& random);

/// Seals the secrets to the key of a key file; HPKE info binds exchange and nonce.
Bytes seal_secrets(const ExchangeId& exchange, std::string_view nonce, const crypto::SealKey& key,
                   const RankSecrets& secrets, crypto::SecureRandom& random);
/// @throws Error(crypto.open_failed) or Error(malformed).
RankSecrets open_secrets(const ExchangeId& exchange, std::string_view nonce,
                         const crypto::OpeningKey& key, ByteView sealed);
/// The plain encoding, for sharing inside a site (its ranks trust each other with it).
crypto::SecretBytes encode_secrets(const RankSecrets& secrets);
RankSecrets decode_secrets(ByteView plain);

/// Bytes of block `block` of the vector `update`: 2^block_log2 lanes, the last one shorter.
std::uint64_t block_bytes(std::uint64_t num_elements, int block_log2, exact::Lane lane,
                          std::uint64_t block);

}  // namespace concordat::site
