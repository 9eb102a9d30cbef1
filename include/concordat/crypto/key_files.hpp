// Long-term keys of a site (or of the coordinator) on disk: one file per key, mode 0600, in a
// folder of mode 0700, and NAME.pub to give to the others. Format: docs/formats/keys.md.
//
//   PublicKeys mine = create_site_keys(fs, "alba/keys", "alba", system_random());
//   SiteKeys keys = load_site_keys(fs, "alba/keys");           // the border
//   SecretBytes data_key = load_data_key(fs, "alba/keys");     // ranks and ingest: this one only
//   PublicKeys peer = parse_public_keys(read_text(fs, "brio.pub"), "brio.pub");
//
// Failure: Error(open_permissions) for a file or folder that group or others may touch or that
// somebody else owns; Error(bad_key_file) for a damaged or foreign file; not_found.
#pragma once

#include <string>

#include "concordat/core/file.hpp"
#include "concordat/crypto/keys.hpp"

namespace concordat::crypto {

/// What a site shows to the others.
struct PublicKeys {
  std::string name;
  VerifyKey verify;  ///< signs messages, rosters, manifests
  SealKey seal;      ///< messages are sealed to it
  VerifyKey tls;     ///< the TLS end, pinned by its peers
  VerifyKey log;     ///< signs checkpoints of the ledger
  bool operator==(const PublicKeys&) const = default;
};

struct SiteKeys {
  std::string name;
  SigningKey signing;
  OpeningKey sealing;
  SigningKey tls;
  SigningKey log;
  SecretBytes data_key;  ///< 32 bytes; wraps the keys of files at rest
  SecretBytes rounding;  ///< 32 bytes; stochastic rounding is derived from it
  PublicKeys public_keys() const;
};

/// Makes all keys and `folder`/NAME.pub. A crash leaves nothing or everything.
/// @throws Error(already_exists) if the folder is there: keys are never overwritten.
PublicKeys create_site_keys(FileSystem& fs, const FileSystem::Path& folder, std::string_view name,
                            SecureRandom& random);
SiteKeys load_site_keys(FileSystem& fs, const FileSystem::Path& folder);
/// The one key that opens files at rest, for processes that must not hold the others.
SecretBytes load_data_key(FileSystem& fs, const FileSystem::Path& folder);

/// The text of NAME.pub, signed by the site itself so that an edit is noticed.
std::string public_key_text(const SiteKeys& keys);
/// @throws Error(bad_key_file), also when the text was edited after signing.
PublicKeys parse_public_keys(std::string_view text, std::string_view where);
PublicKeys load_public_keys(FileSystem& fs, const FileSystem::Path& path);

/// Names of sites: 1 to 32 of a-z, 0-9 and '-', beginning with a letter. @throws Error(usage).
void require_site_name(std::string_view name, std::string_view where);

/// @throws Error(open_permissions) unless `path` belongs to this user and to nobody else.
void require_private(FileSystem& fs, const FileSystem::Path& path);
/// The same of a file that is open: what is checked is what is read, whoever renames in between.
void require_private(File& file, const FileSystem::Path& path);
/// @throws Error(open_permissions) unless this user owns the folder and nobody else may write in
/// it. A folder that is not there yet passes. Returns `path`.
const FileSystem::Path& require_own_folder(FileSystem& fs, const FileSystem::Path& path);

}  // namespace concordat::crypto
