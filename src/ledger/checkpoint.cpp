// Checkpoints: C2SP signed notes (c2sp.org/signed-note, c2sp.org/tlog-checkpoint), Ed25519.
#include <algorithm>
#include <vector>

#include "concordat/crypto/hash.hpp"
#include "concordat/ledger/errors.hpp"
#include "concordat/ledger/verify.hpp"
#include "ledger/text.hpp"

namespace concordat::ledger {
namespace {

constexpr std::string_view dash = "\xe2\x80\x94 ";  // U+2014 and a space
constexpr std::uint8_t ed25519_type = 0x01;
constexpr std::size_t max_note_bytes = 16U << 10U;

[[noreturn]] void bad(std::string what, std::string_view where, std::string found = {},
                      std::string expected = {}) {
  throw Error(errors::bad_checkpoint,
              {.what = std::move(what),
               .where = std::string(where),
               .found = std::move(found),
               .expected = std::move(expected),
               .remedy = "ask the ledger's owner for the checkpoint again; if the ledger is "
                         "yours, compare it with a backup before you go on"});
}

std::string body_of(const Checkpoint& checkpoint) {
  return checkpoint.origin + "\n" + std::to_string(checkpoint.head.size) + "\n" +
         to_base64(checkpoint.head.root.view()) + "\n";
}

/// Splits off the text before the next newline. @pre `rest` ends with a newline.
std::string_view take_line(std::string_view& rest) {
  const std::size_t end = rest.find('\n');
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return line;
}

/// 1 for a valid signature of `key`, 0 for a line of another key; throws for a false one.
int check_signature(std::string_view line, std::string_view body, std::string_view name,
                    const crypto::VerifyKey& key, std::string_view where) {
  if (!line.starts_with(dash)) bad("a signature line does not begin with a dash", where);
  line.remove_prefix(dash.size());
  const std::size_t space = line.find(' ');
  if (space == line.npos || space == 0) bad("a signature line has no name", where);
  Bytes raw;
  try {
    raw = from_base64(line.substr(space + 1), where);
  } catch (const Error&) {
    bad("a signature is not base64", where);
  }
  if (raw.size() < 5) bad("a signature is too short", where);
  const auto id = note_key_id(name, key);
  if (line.substr(0, space) != name || !std::equal(id.begin(), id.end(), raw.begin())) return 0;
  if (raw.size() != 4 + 64) bad("the signature has a wrong length", where);
  const auto signature = crypto::signature_from(ByteView(raw).subspan(4), where);
  if (!crypto::verify(key, as_bytes(body), signature)) {
    bad("the signature does not verify", where, "a note that this key did not sign",
        "the signature of log key " + key.hex());
  }
  return 1;
}

}  // namespace

std::array<std::uint8_t, 4> note_key_id(std::string_view name, const crypto::VerifyKey& key) {
  crypto::Sha256 hash;
  hash.update(as_bytes(name)).update(std::array<std::uint8_t, 2>{0x0a, ed25519_type});
  const Digest digest = hash.update(key.view()).finish();
  return {digest.bytes[0], digest.bytes[1], digest.bytes[2], digest.bytes[3]};
}

std::string note_verifier_key(std::string_view name, const crypto::VerifyKey& key) {
  Bytes typed{ed25519_type};
  typed.insert(typed.end(), key.bytes.begin(), key.bytes.end());
  return std::string(name) + "+" + to_hex(note_key_id(name, key)) + "+" + to_base64(typed);
}

std::string sign_checkpoint(const Checkpoint& checkpoint, const crypto::SigningKey& key) {
  const std::string body = body_of(checkpoint);
  const auto id = note_key_id(checkpoint.origin, key.verify_key());
  const crypto::Signature signature = key.sign(as_bytes(body));
  Bytes raw(id.begin(), id.end());
  raw.insert(raw.end(), signature.begin(), signature.end());
  return body + "\n" + std::string(dash) + checkpoint.origin + " " + to_base64(raw) + "\n";
}

Checkpoint open_checkpoint(std::string_view note, std::string_view origin,
                           const crypto::VerifyKey& key, std::string_view where) {
  if (note.size() > max_note_bytes || !is_utf8(note)) bad("the note is no text", where);
  const std::size_t split = note.find("\n\n");
  if (split == note.npos || !note.ends_with('\n')) bad("no signed note", where);
  const std::string_view body = note.substr(0, split + 1);
  std::string_view lines = body;
  std::vector<std::string_view> parts;
  while (!lines.empty()) parts.push_back(take_line(lines));
  if (parts.size() != 3) {
    bad("a checkpoint has three lines", where, std::to_string(parts.size()), "3");
  }
  if (parts[0] != origin) {
    bad("the checkpoint is of another log", where, "'" + std::string(parts[0]) + "'",
        "'" + std::string(origin) + "'");
  }
  const auto size = parse_decimal(parts[1]);
  if (!size) bad("the size is no number", where, "'" + std::string(parts[1]) + "'");
  Checkpoint checkpoint{std::string(origin), {*size, {}}};
  try {
    checkpoint.head.root = digest_from(from_base64(parts[2], where), where);
  } catch (const Error&) {
    bad("the root is not 32 bytes in base64", where, "'" + std::string(parts[2]) + "'");
  }
  int num_valid = 0;
  std::string_view signatures = note.substr(split + 2);
  while (!signatures.empty()) {
    num_valid += check_signature(take_line(signatures), body, origin, key, where);
  }
  if (num_valid != 1) {
    bad("not signed once by the log key", where, std::to_string(num_valid) + " signatures",
        "1 by " + key.hex());
  }
  return checkpoint;
}

}  // namespace concordat::ledger
