// Reading and verifying a ledger offline: files and a public key, no secret, no writing.
//
//   LogReading log = read_log(fs, "site/ledger", origin, key);     // never throws on bad content
//   for (const auto& fault : log.faults) std::cout << fault.text() << '\n';
//   if (log.checkpoint && log.root_at(log.checkpoint->head.size) == log.checkpoint->head.root) ...
//
// Cost: one pass; memory is the parsed entries. Threads: none shared.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "concordat/core/file.hpp"
#include "concordat/crypto/keys.hpp"
#include "concordat/ledger/entries.hpp"
#include "concordat/ledger/entry.hpp"

namespace concordat::ledger {

/// A C2SP checkpoint: origin, size, root, and the log's signature over them.
struct Checkpoint {
  std::string origin;
  Head head;
};

/// The signed note. Key name and origin are the same text.
std::string sign_checkpoint(const Checkpoint& checkpoint, const crypto::SigningKey& key);

/// Parses a note and verifies it; signature lines of other keys are skipped.
/// @throws Error(ledger.bad_checkpoint) for anything else than one valid signature by `key` over a
/// well-formed body with this origin.
Checkpoint open_checkpoint(std::string_view note, std::string_view origin,
                           const crypto::VerifyKey& key, std::string_view where);

/// Ed25519 note key id: the first four bytes of SHA-256(name || 0x0A || 0x01 || public key).
std::array<std::uint8_t, 4> note_key_id(std::string_view name, const crypto::VerifyKey& key);
/// "NAME+HEX+BASE64": the key in the form that foreign note tools take.
std::string note_verifier_key(std::string_view name, const crypto::VerifyKey& key);

/// One thing that does not verify, with the place a person opens to see it.
struct Fault {
  std::string check;  ///< stable name of the check
  std::string file;
  std::uint64_t line = 0;  ///< 1-based; 0: the whole file
  std::string detail;
  std::string text() const;  ///< "FILE:LINE: CHECK: DETAIL"
};

struct LogReading {
  std::string file;                      ///< path of log.jsonl
  std::vector<LoggedEntry> entries;      ///< entries[i] stands in line i+1
  std::vector<Digest> leaves;            ///< of every line, parsed or not
  std::optional<Checkpoint> checkpoint;  ///< verified, or absent
  std::vector<Fault> faults;
  /// Root of the first `size` lines; nullopt if there are fewer.
  std::optional<Digest> root_at(std::uint64_t size) const;
  bool covered_by_checkpoint(std::uint64_t index) const {
    return checkpoint && index < checkpoint->head.size;
  }
};

/// Reads `folder`, checks each line (strict form, its index, unique keys), the checkpoint's
/// signature, and that the log still begins with exactly what the checkpoint covers.
/// A missing file is a fault; so is a torn last line that the checkpoint covers.
LogReading read_log(FileSystem& fs, const FileSystem::Path& folder, std::string_view origin,
                    const crypto::VerifyKey& key);

/// Proofs against roots that somebody else holds; false for anything that does not verify.
bool verify_entry(std::string_view line, std::uint64_t index, const Head& head,
                  std::span<const Digest> path);
bool verify_growth(const Head& older, const Head& newer, std::span<const Digest> path);

}  // namespace concordat::ledger
