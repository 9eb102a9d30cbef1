#include "concordat/border/receipts.hpp"

#include <algorithm>
#include <optional>
#include <tuple>

#include "concordat/border/errors.hpp"
#include "concordat/border/evidence.hpp"
#include "concordat/crypto/hash.hpp"

namespace concordat::border {
namespace {

// kind u8, sender u32, type u16, index u32, digest 32, statement 252, check 4 (head of SHA-256 over
// the rest)
constexpr std::size_t record_bytes = 43 + std::tuple_size_v<Statement> + 4;
constexpr std::size_t checked_bytes = record_bytes - 4;

enum class Kind : std::uint8_t { receipt = 1, closed = 2 };

Bytes encode_record(Kind kind, const Header& header, const Digest& digest,
                    const Statement& statement) {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(kind));
  out.u32(header.sender.value());
  out.u16(static_cast<std::uint16_t>(header.type));
  out.u32(header.index);
  out.digest(digest);
  out.raw(statement);
  Digest check = crypto::sha256(out.bytes());
  out.raw(check.view().first(4));
  return std::move(out).bytes();
}

bool intact(ByteView record) {
  Digest check = crypto::sha256(record.first(checked_bytes));
  return std::equal(check.bytes.begin(), check.bytes.begin() + 4, record.begin() + checked_bytes);
}

}  // namespace

struct ReceiptBook::Receipts {
  struct Receipt {
    std::uint32_t sender;
    std::uint16_t type;
    std::uint32_t index;
    Digest digest;
    Statement statement{};
  };
  std::vector<Receipt> receipts;
  bool closed = false;
  std::uint64_t end = 0;  ///< bytes that are whole records

  const Receipt* find(const Header& header) const {
    for (const Receipt& receipt : receipts) {
      if (receipt.sender == header.sender.value() && receipt.index == header.index &&
          receipt.type == static_cast<std::uint16_t>(header.type)) {
        return &receipt;
      }
    }
    return nullptr;
  }
};

ReceiptBook::ReceiptBook(FileSystem& fs, FileSystem::Path folder)
    : fs_(fs), folder_(std::move(folder)) {
  fs_.make_directories(folder_ / "evidence");
}

ReceiptBook::Receipts ReceiptBook::load(const ExchangeId& exchange) {
  Receipts out;
  FileSystem::Path path = folder_ / (exchange.text() + ".receipts");
  if (!fs_.exists(path)) return out;
  Bytes bytes = read_file(fs_, path);
  std::size_t whole = bytes.size() / record_bytes;
  for (std::size_t i = 0; i < whole; ++i) {
    ByteView record = ByteView(bytes).subspan(i * record_bytes, record_bytes);
    if (!intact(record)) {
      // Appends are synced one by one, so a crash can only tear the last record.
      if (i + 1 == whole && bytes.size() % record_bytes == 0) break;
      throw Error(errors::receipts_damaged, {.what = "an acknowledged receipt is damaged",
                                             .where = path.string(),
                                             .found = "record " + std::to_string(i),
                                             .expected = "its check value",
                                             .remedy = "restore the file from a backup"});
    }
    ByteReader in(record, path.string());
    auto kind = static_cast<Kind>(in.u8());
    Receipts::Receipt receipt{in.u32(), in.u16(), in.u32(), in.digest(), {}};
    std::ranges::copy(in.raw(receipt.statement.size()), receipt.statement.begin());
    if (kind == Kind::closed) {
      out.closed = true;
    } else {
      out.receipts.push_back(receipt);
    }
    out.end += record_bytes;
  }
  return out;
}

void ReceiptBook::append(const ExchangeId& exchange, ByteView record) {
  FileSystem::Path path = folder_ / (exchange.text() + ".receipts");
  bool fresh = !fs_.exists(path);
  std::uint64_t end = fresh ? 0 : load(exchange).end;
  auto file = fs_.open(path, fresh ? OpenMode::create_exclusive : OpenMode::read_write);
  if (!fresh) file->resize(end);
  file->write_at(end, record);
  file->sync();
  if (fresh) fs_.sync_directory(folder_);
}

// What was found may be in the page cache alone: a kill between an append and its sync. Whoever is
// told of it acknowledges, so it is made durable first.
void ReceiptBook::settle(const ExchangeId& exchange) {
  fs_.open(folder_ / (exchange.text() + ".receipts"), OpenMode::read_write)->sync();
  fs_.sync_directory(folder_);
}

bool ReceiptBook::knows(const ExchangeId& exchange, const Digest& digest) {
  std::lock_guard lock(mutex_);
  for (const auto& receipt : load(exchange).receipts) {
    if (receipt.digest != digest) continue;
    settle(exchange);
    return true;
  }
  return false;
}

void ReceiptBook::refuse_contradiction(const Receipts& receipts, const OpenedMessage& message) {
  const Receipts::Receipt* known = receipts.find(message.header);
  if (known == nullptr || known->digest == message.digest) return;
  FileSystem::Path path =
      folder_ / "evidence" / (known->digest.hex() + "-" + message.digest.hex() + ".evidence");
  // One contradiction proves the case; a thousand would only fill the disk.
  bool proven = false;
  for (const std::string& name : fs_.list(folder_ / "evidence")) {
    if (name.starts_with(known->digest.hex())) proven = true;
  }
  if (!proven) {
    write_atomically(fs_, path, encode(Evidence{known->statement, message.statement}));
  }
  throw Error(errors::equivocation,
              {.what = "a second, different message under one identity",
               .where = message.header.text(),
               .found = "digest " + message.digest.hex(),
               .expected = "digest " + known->digest.hex(),
               .remedy = "both signed headers of the first contradiction are kept in " +
                         path.parent_path().string()});
}

void ReceiptBook::require_consistent(const OpenedMessage& message) {
  std::lock_guard lock(mutex_);
  refuse_contradiction(load(message.header.exchange), message);
}

void ReceiptBook::require_new(const OpenedMessage& message) {
  std::lock_guard lock(mutex_);
  const Receipts receipts = load(message.header.exchange);
  refuse_contradiction(receipts, message);
  if (receipts.closed && receipts.find(message.header) == nullptr) {
    throw Error(errors::exchange_closed, {.what = "a new message for a closed exchange",
                                          .where = message.header.text(),
                                          .found = "digest " + message.digest.hex(),
                                          .expected = "repetitions only",
                                          .remedy = "the sender has to catch up first"});
  }
}

void ReceiptBook::record(const OpenedMessage& message) {
  std::lock_guard lock(mutex_);
  if (load(message.header.exchange).find(message.header) != nullptr) {
    settle(message.header.exchange);
    return;
  }
  // Without it a later contradiction could be refused and not be proven.
  CONCORDAT_REQUIRE(message.statement != Statement{}, message.header.text());
  append(message.header.exchange,
         encode_record(Kind::receipt, message.header, message.digest, message.statement));
}

void ReceiptBook::close(const ExchangeId& exchange) {
  std::lock_guard lock(mutex_);
  if (load(exchange).closed) {
    settle(exchange);
    return;
  }
  append(exchange, encode_record(Kind::closed, Header{}, Digest{}, {}));
}

bool ReceiptBook::is_closed(const ExchangeId& exchange) {
  std::lock_guard lock(mutex_);
  return load(exchange).closed;
}

std::vector<std::string> ReceiptBook::evidence() { return fs_.list(folder_ / "evidence"); }

}  // namespace concordat::border
