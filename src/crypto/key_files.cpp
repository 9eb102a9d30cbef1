#include "concordat/crypto/key_files.hpp"

#include "concordat/crypto/dsse.hpp"
#include "concordat/crypto/errors.hpp"
#include "concordat/crypto/hash.hpp"
#include "crypto/key_text.hpp"

namespace concordat::crypto {
namespace {

using Path = FileSystem::Path;
constexpr std::string_view key_title = "concordat key v1";
constexpr std::string_view public_title = "concordat public keys v1";
constexpr std::string_view public_type = "application/vnd.concordat.public-keys+text";

// A private key in hex lives in buffers that are reserved whole and cleansed.
void append_hex(std::string& text, ByteView bytes) {
  constexpr char digits[] = "0123456789abcdef";
  for (std::uint8_t byte : bytes) {
    text += digits[byte >> 4U];
    text += digits[byte & 15U];
  }
}

int value_of(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return -1;
}

void cleanse_text(std::string& text) {
  cleanse({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
}

void write_key(FileSystem& fs, const Path& folder, std::string_view name, std::string_view kind,
               const SecretBytes& secret) {
  std::string text;
  text.reserve(512);
  text.append(key_title).append("\nsite: ").append(name).append("\nkind: ").append(kind);
  text.append("\nsecret: ");
  append_hex(text, secret.view());
  text.append("\n");
  text.append("check: " + text_checksum(text) + "\n");
  create_atomically(fs, folder / (std::string(kind) + ".key"), as_bytes(text));
  cleanse_text(text);
}

struct LoadedKey {
  std::string name;
  SecretBytes secret;
};

LoadedKey read_key(FileSystem& fs, const Path& folder, std::string_view kind) {
  Path path = folder / (std::string(kind) + ".key");
  auto file = fs.open(path, OpenMode::read);
  require_private(fs, folder);
  require_private(*file, path);
  if (file->size() > 1024) {
    KeyText("", key_title, path.string());  // throws: whatever this is, it is no key file
  }
  SecretBytes bytes(file->size());
  file->read_at(0, bytes.span());
  std::string_view view(reinterpret_cast<const char*>(bytes.view().data()), bytes.size());
  KeyText text(view, key_title, path.string());
  LoadedKey key;
  key.name = text.next("site");
  if (text.next("kind") != kind) text.fail("a key of another kind", std::string(kind));
  std::string_view hex = text.next("secret");
  std::string checksum = text_checksum(text.before());
  if (text.next("check") != checksum) text.fail("another checksum", checksum);
  text.finish();
  if (hex.size() != 64) text.fail(std::to_string(hex.size()) + " hex digits", "64");
  key.secret = SecretBytes(32);
  for (std::size_t i = 0; i < 32; ++i) {
    int high = value_of(hex[2 * i]);
    int low = value_of(hex[2 * i + 1]);
    if (high < 0 || low < 0) text.fail("a character that is no hex digit", "0-9 and a-f");
    key.secret.span()[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return key;
}

}  // namespace

PublicKeys SiteKeys::public_keys() const {
  return {name, signing.verify_key(), sealing.seal_key(), tls.verify_key(), log.verify_key()};
}

PublicKeys create_site_keys(FileSystem& fs, const Path& folder, std::string_view name,
                            SecureRandom& random) {
  require_site_name(name, "site name");
  if (fs.exists(folder)) {
    throw Error(concordat::errors::already_exists,
                {.what = "the key folder is there already",
                 .where = folder.string(),
                 .found = std::to_string(fs.list(folder).size()) + " entries",
                 .expected = "no such folder: keys are never overwritten",
                 .remedy = "use the existing keys, or move the folder away to make new ones"});
  }
  SiteKeys keys{std::string(name),
                SigningKey::generate(random),
                OpeningKey::generate(random),
                SigningKey::generate(random),
                SigningKey::generate(random),
                random.secret(32),
                random.secret(32)};
  // All files appear with one rename; what a crash left behind is half a set and was never used.
  Path staging = folder;
  staging += ".new";
  fs.remove_all(staging);
  fs.make_directories(staging);
  write_key(fs, staging, name, "signing", keys.signing.seed());
  write_key(fs, staging, name, "sealing", keys.sealing.private_bytes());
  write_key(fs, staging, name, "tls", keys.tls.seed());
  write_key(fs, staging, name, "log", keys.log.seed());
  write_key(fs, staging, name, "data", keys.data_key);
  write_key(fs, staging, name, "rounding", keys.rounding);
  create_atomically(fs, staging / (keys.name + ".pub"), as_bytes(public_key_text(keys)));
  fs.rename(staging, folder);
  fs.sync_directory(folder.has_parent_path() ? folder.parent_path() : Path("."));
  return keys.public_keys();
}

SiteKeys load_site_keys(FileSystem& fs, const Path& folder) {
  LoadedKey signing = read_key(fs, folder, "signing");
  auto same_site = [&](std::string_view kind) {
    LoadedKey key = read_key(fs, folder, kind);
    if (key.name != signing.name) {
      throw Error(errors::bad_key_file, {.what = "key files of two sites lie in one folder",
                                         .where = (folder / (std::string(kind) + ".key")).string(),
                                         .found = "site " + key.name,
                                         .expected = "site " + signing.name,
                                         .remedy = "restore the folder from one backup"});
    }
    return std::move(key.secret);
  };
  return {signing.name,
          SigningKey::from_seed(signing.secret.view()),
          OpeningKey::from_private(same_site("sealing").view()),
          SigningKey::from_seed(same_site("tls").view()),
          SigningKey::from_seed(same_site("log").view()),
          same_site("data"),
          same_site("rounding")};
}

SecretBytes load_data_key(FileSystem& fs, const Path& folder) {
  return std::move(read_key(fs, folder, "data").secret);
}

std::string public_key_text(const SiteKeys& keys) {
  std::string text(public_title);
  text += "\nsite: " + keys.name;
  text += "\nverify: " + keys.signing.verify_key().hex();
  text += "\nseal: " + keys.sealing.seal_key().hex();
  text += "\ntls: " + keys.tls.verify_key().hex();
  text += "\nlog: " + keys.log.verify_key().hex() + "\n";
  Signature signature = keys.signing.sign(dsse_pae(public_type, as_bytes(text)));
  return text + "signature: " + to_base64(signature) + "\n";
}

PublicKeys parse_public_keys(std::string_view text, std::string_view where) {
  KeyText lines(text, public_title, where);
  PublicKeys keys;
  keys.name = lines.next("site");
  require_site_name(keys.name, where);
  try {
    keys.verify = VerifyKey::from_hex(lines.next("verify"), where);
    keys.seal = SealKey::from_hex(lines.next("seal"), where);
    keys.tls = VerifyKey::from_hex(lines.next("tls"), where);
    keys.log = VerifyKey::from_hex(lines.next("log"), where);
    Bytes message = dsse_pae(public_type, as_bytes(lines.before()));
    Bytes signature = from_base64(lines.next("signature"), where);
    require_signature(keys.verify, message, signature, where);
  } catch (const Error& error) {
    if (error.code() == errors::bad_key_file) throw;
    lines.fail(error.fields().what, "the text that concordat keys wrote, unedited");
  }
  lines.finish();
  return keys;
}

PublicKeys load_public_keys(FileSystem& fs, const Path& path) {
  return parse_public_keys(read_text(fs, path, 4096), path.string());
}

}  // namespace concordat::crypto
