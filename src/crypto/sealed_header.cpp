#include "crypto/sealed_header.hpp"

#include <algorithm>

#include "concordat/crypto/errors.hpp"
#include "concordat/crypto/hash.hpp"

namespace concordat::crypto {
namespace {

constexpr std::string_view magic = "CNCSEAL1";
constexpr std::size_t wrapped_bytes = 32 + aead_tag_bytes;
constexpr std::size_t max_purpose_bytes = 64;
constexpr std::size_t fixed_bytes = 8 + 4 + 32 + 4;  // magic, chunk size, salt, purpose length

Bytes head_of(std::string_view purpose, std::uint32_t chunk_bytes, ByteView salt) {
  ByteWriter out;
  out.raw(as_bytes(magic));
  out.u32(chunk_bytes);
  out.raw(salt);
  out.sized(purpose);
  return std::move(out).bytes();
}

SecretBytes wrapping_key(ByteView data_key, ByteView salt) {
  CONCORDAT_REQUIRE(data_key.size() == 32, std::to_string(data_key.size()));
  return hkdf_sha256(data_key, salt, as_bytes("concordat/sealed-file/v1/wrap"), 32);
}

// Both values come from the file key and the whole head. HKDF-SHA-256 is collision resistant, so no
// second file key fits the commitment, which GCM alone would allow.
SecretBytes derive(const SecretBytes& file_key, ByteView head, std::string_view label) {
  return hkdf_sha256(file_key.view(), sha256(head).view(), as_bytes(label), 32);
}

SealedKey key_of(const SecretBytes& file_key, ByteView head, std::uint32_t chunk_bytes) {
  SealedKey key;
  key.chunk_key = derive(file_key, head, "concordat/sealed-file/v1/chunks");
  key.chunk_bytes = chunk_bytes;
  key.header_bytes = head.size() + wrapped_bytes + 32;
  return key;
}

constexpr std::string_view commitment_label = "concordat/sealed-file/v1/commitment";

}  // namespace

void fail_sealed(const FileSystem::Path& path, std::string what, std::string found,
                 std::string expected) {
  throw Error(errors::sealed_file_damaged,
              {.what = std::move(what),
               .where = path.string(),
               .found = std::move(found),
               .expected = std::move(expected),
               .remedy = "check that the file belongs to this site's keys, or make it again"});
}

Bytes make_sealed_header(ByteView data_key, std::string_view purpose, std::uint32_t chunk_bytes,
                         SecureRandom& random, SealedKey& key) {
  CONCORDAT_REQUIRE(!purpose.empty() && purpose.size() <= max_purpose_bytes, std::string(purpose));
  CONCORDAT_REQUIRE(chunk_bytes >= 1024 && chunk_bytes <= (16U << 20U),
                    std::to_string(chunk_bytes));
  std::array<std::uint8_t, 32> salt{};
  random.fill(salt);
  SecretBytes file_key = random.secret(32);
  Bytes head = head_of(purpose, chunk_bytes, salt);
  key = key_of(file_key, head, chunk_bytes);
  ByteWriter out;
  out.raw(head);
  // Nonce 0 is safe: the salt makes a wrapping key that wraps one key once.
  out.raw(aead_seal(wrapping_key(data_key, salt).view(), Nonce{}, head, file_key.view()));
  out.raw(derive(file_key, head, commitment_label).view());
  return std::move(out).bytes();
}

SealedKey read_sealed_header(File& file, const FileSystem::Path& path, ByteView data_key,
                             std::string_view purpose) {
  const std::uint64_t size = file.size();
  const std::size_t head_bytes = fixed_bytes + purpose.size();
  Bytes header(head_bytes + wrapped_bytes + 32);
  if (size < header.size() + aead_tag_bytes) {
    fail_sealed(path, "a sealed file is shorter than its header", std::to_string(size) + " bytes",
                "at least " + std::to_string(header.size() + aead_tag_bytes));
  }
  file.read_at(0, header);
  ByteView head = ByteView(header).first(head_bytes);
  ByteReader in(head, path.string());
  if (to_string(in.raw(8)) != magic) {
    fail_sealed(path, "a file is not a sealed file", "other first bytes", std::string(magic));
  }
  std::uint32_t chunk_bytes = in.u32();
  ByteView salt = in.raw(32);
  std::uint32_t purpose_bytes = in.u32();
  if (purpose_bytes != purpose.size() || to_string(in.raw(purpose.size())) != purpose) {
    fail_sealed(path, "a sealed file has another purpose", "another purpose text",
                "\"" + std::string(purpose) + "\"");
  }
  if (chunk_bytes < 1024 || chunk_bytes > (16U << 20U)) {
    fail_sealed(path, "a sealed file's chunk size is out of range", std::to_string(chunk_bytes),
                "1024 to 16777216");
  }
  SecretBytes file_key(32);
  try {
    aead_open_into(wrapping_key(data_key, salt).view(), Nonce{}, head,
                   ByteView(header).subspan(head_bytes, wrapped_bytes), file_key.span());
  } catch (const Error&) {
    fail_sealed(path, "a sealed file's key does not unwrap", "a damaged header or another data key",
                "a file that was sealed under this site's data key");
  }
  if (!constant_time_equal(derive(file_key, head, commitment_label).view(),
                           ByteView(header).last(32))) {
    fail_sealed(path, "a sealed file's key commitment differs", "a damaged or forged header",
                "the commitment to the wrapped key");
  }
  return key_of(file_key, head, chunk_bytes);
}

}  // namespace concordat::crypto
