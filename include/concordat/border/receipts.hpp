// ReceiptBook: which messages came, durably, so that a repetition gets its acknowledgement and a
// contradiction is kept as evidence. One small file per exchange; memory does not grow with rounds.
//
//   if (book.knows(claim.exchange, sha256(wire))) return acknowledge();   // in any round
//   OpenedMessage m = open_message(wire, me, peers);
//   book.require_new(m);                 // Error(equivocation | exchange_closed)
//   machine.handle(m);                   // journals
//   book.record(m);                      // durable; then acknowledge
//   ...
//   book.close(exchange);                // after that only known digests are acknowledged
//
// A message's identity is (sender, exchange, type, index). Threads: any; calls are serialised.
// Format: docs/formats/envelope.md, "receipts".
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "concordat/border/envelope.hpp"
#include "concordat/core/file.hpp"

namespace concordat::border {

class ReceiptBook {
 public:
  /// Makes the folder; `fs` must outlive this.
  ReceiptBook(FileSystem& fs, FileSystem::Path folder);

  /// True if exactly this message was recorded before; its receipt is durable then.
  bool knows(const ExchangeId& exchange, const Digest& digest);
  /// @throws Error(equivocation) if the identity has another digest; what was signed both times is
  /// kept under `evidence/` first.
  void require_consistent(const OpenedMessage& message);
  /// As above; and Error(exchange_closed) if the exchange is closed and the digest new.
  void require_new(const OpenedMessage& message);
  /// Durable when it returns; a repetition writes nothing. Keeps header, digest and statement.
  void record(const OpenedMessage& message);
  /// Durable; idempotent.
  void close(const ExchangeId& exchange);
  bool is_closed(const ExchangeId& exchange);
  /// File names under `evidence/`, each a pair of digests; their bytes are for evidence.hpp.
  std::vector<std::string> evidence();

 private:
  struct Receipts;
  Receipts load(const ExchangeId& exchange);
  void append(const ExchangeId& exchange, ByteView record);
  void settle(const ExchangeId& exchange);
  void refuse_contradiction(const Receipts& receipts, const OpenedMessage& message);
  FileSystem& fs_;
  FileSystem::Path folder_;
  std::mutex mutex_;
};

}  // namespace concordat::border
