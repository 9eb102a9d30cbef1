#include "site/run_folder.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "concordat/core/error.hpp"
#include "concordat/ledger/entries.hpp"
#include "concordat/site/errors.hpp"
#include "site/run_records.hpp"

namespace concordat::site {

namespace {

constexpr std::string_view key_prefix = "key-";
constexpr std::string_view secrets_prefix = "secrets-";
constexpr std::string_view try_prefix = "try-";

/// Records list one line per block; 2^32 elements in blocks of 2^14 are 18 MiB.
constexpr std::uint64_t max_record_bytes = 256ULL << 20U;
constexpr std::uint64_t max_secrets_bytes = 16ULL << 20U;

constexpr std::string_view folder_prefix = "round-";

std::string folder_name(const ExchangeId& exchange) {
  return std::string(folder_prefix) + exchange.text();
}

bool is_temporary(std::string_view name) {
  return name.size() >= 4 && name.substr(name.size() - 4) == ".tmp";
}

}  // namespace

void check_private(FileSystem& fs, const FileSystem::Path& path) {
  if (!fs.is_directory(path)) {
    throw Error(errors::bad_run_file, {.what = "a file in the place of a folder of the run",
                                       .where = path.string(),
                                       .found = "no folder",
                                       .expected = "a folder, which a job makes itself",
                                       .remedy = "move it away, and start the job again"});
  }
  const unsigned mode = fs.mode(path), owner = fs.owner(path);
  if ((mode & 077U) == 0 && owner == ::geteuid()) return;
  char octal[8] = {};
  std::snprintf(octal, sizeof(octal), "%04o", mode);
  throw Error(errors::open_run_folder,
              {.what = "the run folder is not private",
               .where = path.string(),
               .found = "mode " + std::string(octal) + ", owner " + std::to_string(owner),
               .expected = "mode 0700, owner " + std::to_string(::geteuid()),
               .remedy = "chmod 700 " + path.string() + " as its owner"});
}

RunFolder::RunFolder(FileSystem& fs, Path root) : fs_(fs), root_(std::move(root)) {
  if (!fs_.exists(root_)) fs_.make_directories(root_);
  check_private(fs_, root_);
  for (const char* name : {"outbox", "inbox", "checkpoints"}) {
    if (!fs_.exists(root_ / name)) fs_.make_directories(root_ / name);
    check_private(fs_, root_ / name);
  }
}

RunFolder::Path RunFolder::outbox(const ExchangeId& exchange) const {
  return root_ / "outbox" / folder_name(exchange);
}
RunFolder::Path RunFolder::inbox(const ExchangeId& exchange) const {
  return root_ / "inbox" / folder_name(exchange);
}

void RunFolder::write_key(const ExchangeId& exchange, std::string_view nonce, const KeyFile& key) {
  fs_.make_directories(outbox(exchange));
  write_atomically(fs_, outbox(exchange) / (std::string(key_prefix) + std::string(nonce)),
                   as_bytes(encode_key(exchange, key)));
}

std::vector<std::string> RunFolder::key_nonces(const ExchangeId& exchange) const {
  std::vector<std::string> nonces;
  for (const std::string& name : fs_.list(outbox(exchange))) {
    if (name.starts_with(key_prefix) && !is_temporary(name)) {
      const std::string nonce = name.substr(key_prefix.size());
      // Names that are no nonce are temporaries of the file seam or somebody's notes.
      if (is_nonce(nonce)) nonces.push_back(nonce);
    }
  }
  return nonces;
}

std::vector<ExchangeId> RunFolder::in_outbox() const {
  std::vector<ExchangeId> exchanges;
  for (const std::string& name : fs_.list(root_ / "outbox")) {
    if (!name.starts_with(folder_prefix)) continue;
    try {
      exchanges.push_back(ledger::exchange_from(name.substr(folder_prefix.size()), name));
    } catch (const Error&) {
      continue;  // somebody's notes
    }
  }
  std::sort(exchanges.begin(), exchanges.end());
  return exchanges;
}

KeyFile RunFolder::read_key(const ExchangeId& exchange, std::string_view nonce) const {
  const Path path = outbox(exchange) / (std::string(key_prefix) + std::string(nonce));
  return decode_key(exchange, read_text(fs_, path, max_record_bytes), path.string());
}

void RunFolder::write_secrets(const ExchangeId& exchange, std::string_view nonce, ByteView sealed) {
  fs_.make_directories(inbox(exchange));
  write_atomically(fs_, inbox(exchange) / (std::string(secrets_prefix) + std::string(nonce)),
                   sealed);
}

bool RunFolder::has_secrets(const ExchangeId& exchange, std::string_view nonce) const {
  return fs_.exists(inbox(exchange) / (std::string(secrets_prefix) + std::string(nonce)));
}

std::optional<Bytes> RunFolder::read_secrets(const ExchangeId& exchange,
                                             std::string_view nonce) const {
  const Path path = inbox(exchange) / (std::string(secrets_prefix) + std::string(nonce));
  if (!fs_.exists(path)) return std::nullopt;
  try {
    return read_file(fs_, path, max_secrets_bytes);
  } catch (const Error& error) {
    if (error.code() == concordat::errors::not_found) return std::nullopt;  // taken away meanwhile
    throw;
  }
}

void RunFolder::erase_secrets(const ExchangeId& exchange) {
  for (const std::string& name : fs_.list(inbox(exchange))) {
    if (name.starts_with(secrets_prefix)) fs_.remove(inbox(exchange) / name);
  }
}

RunFolder::Path RunFolder::try_folder(const ExchangeId& exchange,
                                      std::string_view try_nonce) const {
  return outbox(exchange) / (std::string(try_prefix) + std::string(try_nonce));
}

RunFolder::Path RunFolder::blocks_file(const ExchangeId& exchange, std::string_view try_nonce,
                                       int rank) const {
  return try_folder(exchange, try_nonce) / ("rank-" + std::to_string(rank) + ".blocks");
}

RunFolder::Path RunFolder::weight_file(const ExchangeId& exchange,
                                       std::string_view try_nonce) const {
  return try_folder(exchange, try_nonce) / "rank-0.weight";
}

void RunFolder::remove_tries(const ExchangeId& exchange) {
  CONCORDAT_REQUIRE(!has_commit(exchange), exchange.text());
  for (const std::string& name : fs_.list(outbox(exchange))) {
    if (name.starts_with(try_prefix)) fs_.remove_all(outbox(exchange) / name);
  }
}

bool RunFolder::has_commit(const ExchangeId& exchange) const {
  return fs_.exists(outbox(exchange) / "COMMIT");
}

std::optional<CommitRecord> RunFolder::read_commit(const ExchangeId& exchange) const {
  if (!has_commit(exchange)) return std::nullopt;
  const Path path = outbox(exchange) / "COMMIT";
  return decode_commit(exchange, read_text(fs_, path, max_record_bytes), path.string());
}

void RunFolder::write_commit(const ExchangeId& exchange, const CommitRecord& record) {
  create_atomically(fs_, outbox(exchange) / "COMMIT", as_bytes(encode_commit(exchange, record)));
}

RunFolder::Path RunFolder::aggregate_blocks(const ExchangeId& exchange) const {
  return inbox(exchange) / "aggregate.blocks";
}
RunFolder::Path RunFolder::aggregate_weight(const ExchangeId& exchange) const {
  return inbox(exchange) / "aggregate.weight";
}
RunFolder::Path RunFolder::aggregate_leaves(const ExchangeId& exchange) const {
  return inbox(exchange) / "aggregate.leaves";
}

bool RunFolder::has_closed(const ExchangeId& exchange) const {
  return fs_.exists(inbox(exchange) / "CLOSED");
}

std::optional<ClosedRecord> RunFolder::read_closed(const ExchangeId& exchange) const {
  if (!has_closed(exchange)) return std::nullopt;
  const Path path = inbox(exchange) / "CLOSED";
  return decode_closed(exchange, read_text(fs_, path, max_record_bytes), path.string());
}

void RunFolder::write_closed(const ExchangeId& exchange, const ClosedRecord& record) {
  fs_.make_directories(inbox(exchange));
  write_atomically(fs_, inbox(exchange) / "CLOSED", as_bytes(encode_closed(exchange, record)));
}

void RunFolder::remove_exchange(const ExchangeId& exchange) {
  fs_.remove_all(outbox(exchange));
  fs_.remove_all(inbox(exchange));
}

std::uint64_t block_bytes(std::uint64_t num_elements, int block_log2, exact::Lane lane,
                          std::uint64_t block) {
  const std::uint64_t length = std::uint64_t{1} << static_cast<unsigned>(block_log2);
  const std::uint64_t begin = block * length;
  CONCORDAT_REQUIRE(begin < num_elements, "block " + std::to_string(block));
  return std::min(length, num_elements - begin) * exact::lane_bytes(lane);
}

}  // namespace concordat::site
