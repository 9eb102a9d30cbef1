#include "concordat/federation/document.hpp"

#include <algorithm>

#include "concordat/core/error.hpp"
#include "concordat/crypto/dsse.hpp"
#include "concordat/federation/errors.hpp"
#include "federation/json.hpp"

namespace concordat::federation {
namespace {

constexpr std::size_t max_signatures = 2048;
constexpr std::size_t max_name_bytes = 64;

[[noreturn]] void refuse(DocumentKind kind, std::string_view where, std::string what,
                         std::string found, std::string expected) {
  throw Error(errors::bad_signature,
              {.what = "the " + std::string(name_of(kind)) + " " + std::move(what),
               .where = std::string(where),
               .found = std::move(found),
               .expected = std::move(expected),
               .remedy = "get the signed file again; after a change everybody signs anew"});
}

}  // namespace

std::string_view name_of(DocumentKind kind) {
  return kind == DocumentKind::roster ? "roster" : "run agreement";
}

std::string_view payload_type(DocumentKind kind) {
  return kind == DocumentKind::roster ? "application/vnd.concordat.roster.v1+json"
                                      : "application/vnd.concordat.agreement.v1+json";
}

DocumentSignature sign_document(DocumentKind kind, ByteView document, std::string signer,
                                const crypto::SigningKey& key) {
  return {std::move(signer), key.verify_key(),
          key.sign(crypto::dsse_pae(payload_type(kind), document))};
}

Bytes encode(const Signatures& signatures) {
  std::vector<JsonValue> entries;
  for (const DocumentSignature& one : signatures) {
    JsonValue entry = JsonValue::object();
    entry.add("signer", one.signer).add("keyid", one.key.hex());
    entry.add("sig", to_base64(one.signature));
    entries.push_back(std::move(entry));
  }
  return document_of(JsonValue::object().add("signatures", std::move(entries)));
}

Signatures parse_signatures(ByteView text, std::string_view where) {
  JsonObject root = JsonObject::parse(text, where);
  Signatures signatures;
  for (JsonObject& entry : root.objects("signatures", max_signatures)) {
    DocumentSignature one;
    one.signer = entry.text("signer", max_name_bytes);
    one.key = crypto::VerifyKey{entry.digest("keyid").bytes};
    one.signature = crypto::signature_from(entry.base64("sig", 64), entry.where());
    entry.finish();
    signatures.push_back(std::move(one));
  }
  root.finish();
  return signatures;
}

void verify_document(DocumentKind kind, ByteView document, const Signatures& signatures,
                     std::span<const RequiredSigner> required, std::string_view where) {
  Bytes signed_bytes = crypto::dsse_pae(payload_type(kind), document);
  for (const RequiredSigner& signer : required) {
    auto of_signer = [&](const DocumentSignature& one) { return one.signer == signer.name; };
    auto found = std::find_if(signatures.begin(), signatures.end(), of_signer);
    if (found == signatures.end()) {
      throw Error(errors::bad_signature,
                  {.what = "the " + std::string(name_of(kind)) + " is not signed by " + signer.name,
                   .where = std::string(where),
                   .found = "no signature of " + signer.name,
                   .expected = "one by key " + signer.key.hex(),
                   .remedy = "if " + signer.name +
                             " has signed, get the newest .sigs file; if not, " + signer.name +
                             " runs 'concordat roster sign' (its --help has the line "
                             "for each document) and hands the .sigs file on"});
    }
    if (std::count_if(signatures.begin(), signatures.end(), of_signer) != 1) {
      refuse(kind, where, "has two signatures of " + signer.name, "two", "one");
    }
    if (found->key != signer.key) {
      refuse(kind, where, "is signed by another key of " + signer.name, found->key.hex(),
             signer.key.hex());
    }
    if (!crypto::verify(signer.key, signed_bytes, found->signature)) {
      refuse(kind, where, "was edited after " + signer.name + " signed it",
             "a signature of " + signer.name + " over other bytes", "one over exactly this file");
    }
  }
  if (signatures.size() != required.size()) {
    refuse(kind, where, "has signatures of strangers",
           std::to_string(signatures.size()) + " signatures",
           std::to_string(required.size()) + ", one of each party");
  }
}

FileSystem::Path signatures_path(const FileSystem::Path& path) {
  FileSystem::Path sigs = path;
  sigs += ".sigs";
  return sigs;
}

void add_signature(FileSystem& fs, const FileSystem::Path& document,
                   const DocumentSignature& signature) {
  FileSystem::Path path = signatures_path(document);
  Signatures all;
  if (fs.exists(path))
    all = parse_signatures(read_file(fs, path, max_document_bytes), path.string());
  std::erase_if(all, [&](const DocumentSignature& one) { return one.signer == signature.signer; });
  all.push_back(signature);
  std::sort(all.begin(), all.end(), [](const DocumentSignature& a, const DocumentSignature& b) {
    return a.signer < b.signer;
  });
  write_atomically(fs, path, encode(all));
}

}  // namespace concordat::federation
