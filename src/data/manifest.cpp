#include "concordat/data/manifest.hpp"

#include <algorithm>
#include <charconv>

#include "concordat/core/error.hpp"
#include "concordat/crypto/hash.hpp"
#include "data/shard_layout.hpp"

namespace concordat::data {
namespace {

constexpr std::string_view file_name = "dataset";
constexpr std::string_view title = "concordat dataset v1\n";
// Says its vocabulary; v1 is for bytes, and its text stays what it was.
constexpr std::string_view wide_title = "concordat dataset v2\n";

std::string mac_line(std::string_view text, ByteView data_key) {
  crypto::SecretBytes key =
      crypto::hkdf_sha256(data_key, {}, as_bytes("concordat/dataset/v1/mac"), 32);
  return "mac: " + crypto::hmac_sha256(key.view(), as_bytes(text)).hex() + "\n";
}

/// Fields of the manifest in their fixed order.
class Lines {
 public:
  Lines(std::string_view text, std::string where) : text_(text), where_(std::move(where)) {}
  bool done() const { return text_.empty(); }
  std::string_view value(std::string_view key) {
    std::size_t end = text_.find('\n');
    std::string prefix = std::string(key) + ": ";
    if (end == std::string_view::npos || !text_.starts_with(prefix)) fail(prefix + "...");
    std::string_view found = text_.substr(prefix.size(), end - prefix.size());
    text_.remove_prefix(end + 1);
    return found;
  }
  std::uint64_t number(std::string_view key) { return parse(value(key)); }
  std::uint64_t parse(std::string_view digits) {
    std::uint64_t out = 0;
    auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    if (problem != std::errc() || end != digits.data() + digits.size()) fail("a number");
    return out;
  }
  [[noreturn]] void fail(const std::string& expected) const {
    fail_shard(where_, "a dataset's manifest is malformed", "another line", expected);
  }

 private:
  std::string_view text_;
  std::string where_;
};

/// Splits at the first space and shortens `rest`.
std::string_view take_word(std::string_view& rest) {
  std::size_t end = std::min(rest.find(' '), rest.size());
  std::string_view word = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return word;
}

ShardInfo parse_shard(Lines& lines, const std::string& dataset, std::string_view where) {
  std::string_view rest = lines.value("shard");
  ShardInfo info;
  info.id.dataset = dataset;
  std::string_view split = take_word(rest);
  if (split != "train" && split != "validation") lines.fail("train or validation");
  info.id.split = split == "train" ? Split::train : Split::validation;
  std::uint64_t number = lines.parse(take_word(rest));
  if (number >= max_shards) lines.fail("a shard number below 10000");
  info.id.number = static_cast<std::uint32_t>(number);
  info.num_documents = lines.parse(take_word(rest));
  info.num_tokens = lines.parse(take_word(rest));
  info.digest = digest_from_hex(rest, where);
  return info;
}

Vocabulary parse_vocabulary(Lines& lines, std::string_view where) {
  std::string_view rest = lines.value("vocabulary");
  Vocabulary vocabulary;
  vocabulary.kind = std::string(take_word(rest));
  const std::uint64_t size = lines.parse(take_word(rest));
  const std::uint64_t separator = lines.parse(take_word(rest));
  if (size < 2 || size > max_vocabulary || separator >= size) lines.fail("a vocabulary");
  vocabulary.size = static_cast<std::uint32_t>(size);
  vocabulary.separator = static_cast<std::uint32_t>(separator);
  vocabulary.digest = digest_from_hex(rest, where);
  return vocabulary;
}

}  // namespace

std::uint64_t DatasetManifest::num_tokens(Split split) const {
  std::uint64_t sum = 0;
  for (const ShardInfo& shard : shards) sum += shard.id.split == split ? shard.num_tokens : 0;
  return sum;
}

std::string DatasetManifest::text() const {
  const bool wide = vocabulary.kind != Vocabulary::bytes;
  std::string out(wide ? wide_title : title);
  auto line = [&](std::string_view key, std::uint64_t value) {
    out.append(key).append(": ").append(std::to_string(value)).append("\n");
  };
  out.append("name: ").append(name).append("\n");
  line("documents", num_documents);
  line("duplicates", num_duplicates);
  line("empty", num_empty);
  line("bytes", num_bytes);
  line("validation-permille", validation_permille);
  if (wide) {
    out.append("vocabulary: ").append(vocabulary.kind).append(" ");
    out.append(std::to_string(vocabulary.size)).append(" ");
    out.append(std::to_string(vocabulary.separator)).append(" ");
    out.append(vocabulary.digest.hex()).append("\n");
  }
  for (const ShardInfo& shard : shards) {
    out.append("shard: ").append(name_of(shard.id.split)).append(" ");
    out.append(std::to_string(shard.id.number)).append(" ");
    out.append(std::to_string(shard.num_documents)).append(" ");
    out.append(std::to_string(shard.num_tokens)).append(" ");
    out.append(shard.digest.hex()).append("\n");
  }
  return out;
}

Digest DatasetManifest::digest() const { return crypto::sha256(as_bytes(text())); }

void save_manifest(FileSystem& fs, const FileSystem::Path& folder, const DatasetManifest& manifest,
                   ByteView data_key) {
  std::string text = manifest.text();
  create_atomically(fs, folder / file_name, as_bytes(text + mac_line(text, data_key)));
}

DatasetManifest load_manifest(FileSystem& fs, const FileSystem::Path& folder, ByteView data_key) {
  const std::string where = (folder / file_name).string();
  const std::string text = read_text(fs, where, 4U << 20U);
  // Nothing is believed before the MAC: it closes the file and covers all lines before it.
  std::size_t mac_at = text.rfind("mac: ");
  std::string_view body = std::string_view(text).substr(0, mac_at);
  const bool wide = body.starts_with(wide_title);
  if (mac_at == std::string::npos || !(wide || body.starts_with(title)) ||
      !crypto::constant_time_equal(as_bytes(std::string_view(text).substr(mac_at)),
                                   as_bytes(mac_line(body, data_key)))) {
    fail_shard(where, "a dataset's manifest does not verify",
               "an edited or cut file, or another site's data key",
               "the manifest that ingest wrote with this site's key");
  }
  Lines lines(body.substr(title.size()), where);
  DatasetManifest manifest;
  manifest.name = lines.value("name");
  manifest.num_documents = lines.number("documents");
  manifest.num_duplicates = lines.number("duplicates");
  manifest.num_empty = lines.number("empty");
  manifest.num_bytes = lines.number("bytes");
  manifest.validation_permille = static_cast<std::uint32_t>(lines.number("validation-permille"));
  if (wide) manifest.vocabulary = parse_vocabulary(lines, where);
  while (!lines.done()) manifest.shards.push_back(parse_shard(lines, manifest.name, where));
  return manifest;
}

std::unique_ptr<Tokenizer> tokenizer_of(FileSystem& fs, const FileSystem::Path& folder,
                                        const DatasetManifest& manifest) {
  const Vocabulary& wanted = manifest.vocabulary;
  if (wanted.kind == Vocabulary::bytes) return byte_tokenizer();
  const FileSystem::Path path = folder / tokenizer_file(wanted.kind);
  const bool known = wanted.kind != Vocabulary::given;
  if (known) {
    auto tokenizer = load_tokenizer(fs, path, wanted.separator);
    if (tokenizer->vocabulary() == wanted) return tokenizer;
  }
  throw Error(errors::vocabulary_differs,
              {.what = known ? "the tokenizer is not the one that the dataset was made with"
                             : "the dataset was made of ids whose tokenizer is not known",
               .where = path.string(),
               .found = known ? "another file" : "a dataset of token files",
               .expected = known ? "SHA-256 " + wanted.digest.hex() : "a dataset made of text",
               .remedy = known ? "restore the dataset folder from a backup"
                               : "give the tokenizer's file where the command takes one"});
}

void require_vocabulary(const DatasetManifest& dataset, const std::string& tokenizer,
                        std::int64_t model_vocabulary) {
  const Vocabulary& found = dataset.vocabulary;
  if (found.id() != tokenizer) {
    throw Error(errors::vocabulary_differs,
                {.what = "a dataset has another tokenizer than the run",
                 .where = "data.datasets: " + dataset.name,
                 .found = found.id(),
                 .expected = "model.tokenizer = \"" + tokenizer + "\"",
                 .remedy = "ingest with the run's tokenizer, or set model.tokenizer to what "
                           "ingest printed, the same at all sites"});
  }
  if (static_cast<std::int64_t>(found.size) > model_vocabulary) {
    throw Error(errors::vocabulary_differs,
                {.what = "a dataset's ids do not fit the model's vocabulary",
                 .where = "data.datasets: " + dataset.name,
                 .found = found.id(),
                 .expected = "at most model.vocab = " + std::to_string(model_vocabulary) + " ids",
                 .remedy = "raise model.vocab, or ingest with the model's own tokenizer"});
  }
}

void verify_shard_files(FileSystem& fs, const FileSystem::Path& folder,
                        const DatasetManifest& manifest) {
  Bytes piece;
  for (const ShardInfo& shard : manifest.shards) {
    const FileSystem::Path path = folder / shard.id.file_name();
    auto file = fs.open(path, OpenMode::read);
    const std::uint64_t size = file->size();
    crypto::Sha256 hash;
    for (std::uint64_t at = 0; at < size; at += piece.size()) {
      piece.resize(std::min<std::uint64_t>(size - at, 1U << 20U));
      file->read_at(at, piece);
      hash.update(piece);
    }
    Digest found = hash.finish();
    if (found != shard.digest) {
      fail_shard(path, "a shard's digest is not the manifest's", found.hex(), shard.digest.hex());
    }
  }
}

}  // namespace concordat::data
