// Signed documents: JSON whose exact bytes are signed, with the signatures in a file of their own.
//
//   Bytes roster = encode(r);                                       // roster.json
//   write_atomically(fs, "roster.json", roster);
//   add_signature(fs, "roster.json", sign_document(DocumentKind::roster, roster, "alba", key));
//   ...
//   verify_document(DocumentKind::roster, roster, parse_signatures(sigs, "roster.json.sigs"),
//                   required, "roster.json");   // names the document and the signer that fails
//
// A document's digest is SHA-256 of its bytes; nobody re-encodes a document that was signed.
// Format: docs/formats/federation-documents.md. Pure functions but for the last two.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "concordat/core/file.hpp"
#include "concordat/crypto/keys.hpp"

namespace concordat::federation {

enum class DocumentKind { roster, agreement };
/// "roster" or "run agreement", for messages.
std::string_view name_of(DocumentKind kind);
/// The DSSE payload type under which the kind is signed.
std::string_view payload_type(DocumentKind kind);

/// Largest document that is read.
inline constexpr std::size_t max_document_bytes = 4U << 20U;

struct DocumentSignature {
  std::string signer;  ///< name in the roster
  crypto::VerifyKey key;
  crypto::Signature signature;
};
using Signatures = std::vector<DocumentSignature>;

DocumentSignature sign_document(DocumentKind kind, ByteView document, std::string signer,
                                const crypto::SigningKey& key);

/// The content of a `.sigs` file.
Bytes encode(const Signatures& signatures);
/// @throws Error(malformed) for anything else than encode() could have written.
Signatures parse_signatures(ByteView text, std::string_view where);

/// A party whose signature a document needs.
struct RequiredSigner {
  std::string name;
  crypto::VerifyKey key;
};

/// Every required signer signed exactly these bytes, and nobody else's signature is there.
/// @throws Error(federation.bad_signature) naming `where` and the signer.
void verify_document(DocumentKind kind, ByteView document, const Signatures& signatures,
                     std::span<const RequiredSigner> required, std::string_view where);

/// `path` + ".sigs".
FileSystem::Path signatures_path(const FileSystem::Path& path);
/// Adds a signature to the document's `.sigs` file, or replaces that signer's. Durable.
void add_signature(FileSystem& fs, const FileSystem::Path& document,
                   const DocumentSignature& signature);

}  // namespace concordat::federation
