#include "concordat/crypto/exchange_secrets.hpp"

#include <algorithm>
#include <charconv>

#include "concordat/crypto/aead.hpp"
#include "concordat/crypto/errors.hpp"
#include "concordat/crypto/hash.hpp"

namespace concordat::crypto {
namespace {

constexpr std::string_view magic = "CNCSECR1";
constexpr std::string_view prefix = "exchange-";
constexpr std::size_t salt_bytes = 32;
constexpr std::size_t head_bytes = 8 + salt_bytes;
constexpr std::uint64_t max_file_bytes = 64U << 20U;

// Salt and place make a key that seals one file once, so nonce 0 never repeats.
SecretBytes file_key(const SecretBytes& data_key, ByteView salt, const Digest& federation,
                     const ExchangeId& exchange) {
  ByteWriter info;
  info.raw(as_bytes("concordat/exchange-secrets/v1"));
  info.digest(federation);
  info.u32(exchange.round.value());
  info.u32(exchange.fragment.value());
  info.u32(exchange.attempt.value());
  return hkdf_sha256(data_key.view(), salt, info.bytes(), 32);
}

std::optional<ExchangeId> exchange_of(std::string_view name) {
  if (!name.starts_with(prefix)) return std::nullopt;
  std::uint32_t parts[3] = {};
  const char* at = name.data() + prefix.size();
  const char* end = name.data() + name.size();
  for (int i = 0; i < 3; ++i) {
    if (i > 0 && (at == end || *at++ != '.')) return std::nullopt;
    auto [next, problem] = std::from_chars(at, end, parts[i]);
    if (problem != std::errc()) return std::nullopt;
    at = next;
  }
  if (at != end) return std::nullopt;
  return ExchangeId{Round(parts[0]), Fragment(parts[1]), Attempt(parts[2])};
}

}  // namespace

ExchangeSecrets::ExchangeSecrets(FileSystem& fs, FileSystem::Path folder, ByteView data_key,
                                 const Digest& federation, SecureRandom& random)
    : fs_(fs),
      folder_(std::move(folder)),
      data_key_(SecretBytes::copy_of(data_key)),
      federation_(federation),
      random_(random) {
  CONCORDAT_REQUIRE(data_key.size() == 32, std::to_string(data_key.size()));
  fs_.make_directories(folder_);
}

FileSystem::Path ExchangeSecrets::path_of(const ExchangeId& exchange) const {
  return folder_ / (std::string(prefix) + exchange.text());
}

void ExchangeSecrets::save(const ExchangeId& exchange, ByteView secrets) {
  std::array<std::uint8_t, salt_bytes> salt{};
  random_.fill(salt);
  ByteWriter out;
  out.raw(as_bytes(magic));
  out.raw(salt);
  SecretBytes key = file_key(data_key_, salt, federation_, exchange);
  out.raw(aead_seal(key.view(), Nonce{}, Bytes(out.bytes()), secrets));
  write_atomically(fs_, path_of(exchange), out.bytes());
}

std::optional<SecretBytes> ExchangeSecrets::load(const ExchangeId& exchange) {
  const FileSystem::Path path = path_of(exchange);
  if (!fs_.exists(path)) return std::nullopt;
  Bytes sealed = read_file(fs_, path, max_file_bytes);
  ByteView view(sealed);
  if (sealed.size() >= head_bytes + aead_tag_bytes && to_string(view.first(8)) == magic) {
    try {
      SecretBytes key = file_key(data_key_, view.subspan(8, salt_bytes), federation_, exchange);
      SecretBytes plain(sealed.size() - head_bytes - aead_tag_bytes);
      aead_open_into(key.view(), Nonce{}, view.first(head_bytes), view.subspan(head_bytes),
                     plain.span());
      return plain;
    } catch (const Error&) {
      // Fall through to the message that names the file.
    }
  }
  throw Error(errors::open_failed,
              {.what = "the secrets of an exchange do not open",
               .where = path.string(),
               .found = "damaged bytes, another data key or another exchange",
               .expected = "the file that this site saved for exchange " + exchange.text(),
               .remedy = "restore it; without it the site is a dropout of "
                         "this exchange"});
}

bool ExchangeSecrets::erase(const ExchangeId& exchange) {
  bool was_there = fs_.remove(path_of(exchange));
  if (was_there) fs_.sync_directory(folder_);
  return was_there;
}

std::vector<ExchangeId> ExchangeSecrets::open_exchanges() {
  std::vector<ExchangeId> found;
  for (const std::string& name : fs_.list(folder_)) {
    if (auto exchange = exchange_of(name)) found.push_back(*exchange);
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace concordat::crypto
