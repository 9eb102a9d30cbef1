#include "concordat/ledger/verify.hpp"

#include <set>

#include "concordat/crypto/merkle.hpp"
#include "concordat/ledger/errors.hpp"
#include "ledger/line_reader.hpp"

namespace concordat::ledger {
namespace {

class LogReader {
 public:
  LogReader(FileSystem& fs, const FileSystem::Path& folder) : fs_(fs), folder_(folder) {
    reading_.file = (folder / "log.jsonl").string();
  }

  LogReading read(std::string_view origin, const crypto::VerifyKey& key) {
    if (fs_.exists(folder_ / "log.jsonl")) {
      read_lines();
    } else {
      fault("ledger.missing", reading_.file, 0, "there is no such file");
    }
    read_checkpoint(origin, key);
    return std::move(reading_);
  }

 private:
  void fault(std::string check, const std::string& file, std::uint64_t line, std::string detail) {
    reading_.faults.push_back({std::move(check), file, line, std::move(detail)});
  }

  void read_lines() {
    LineReader reader(fs_, folder_ / "log.jsonl");
    std::string_view line;
    while (reader.next(line)) read_line(line);
    if (reader.whole_end() != reader.file_bytes()) {
      torn_bytes_ = reader.file_bytes() - reader.whole_end();
    }
  }

  void read_line(std::string_view line) {
    const std::uint64_t number = reading_.leaves.size() + 1;
    reading_.leaves.push_back(crypto::merkle_leaf(as_bytes(line)));
    reading_.entries.emplace_back();  // an unreadable line leaves an entry without a kind
    try {
      LoggedEntry logged = from_line(line, reading_.file + ":" + std::to_string(number));
      if (logged.index != number - 1) {
        fault("ledger.index", reading_.file, number,
              "the entry has index " + std::to_string(logged.index) + ", its place is " +
                  std::to_string(number - 1) + ": lines were removed, added or moved");
      }
      if (!keys_.insert(logged.entry.key).second) {
        fault("ledger.duplicate_key", reading_.file, number, "key " + logged.entry.key);
      }
      reading_.entries.back() = std::move(logged);
    } catch (const Error& error) {
      const ErrorFields& f = error.fields();
      fault("ledger.line", reading_.file, number,
            f.what + (f.found.empty() ? "" : "; found: " + f.found));
    }
  }

  void read_checkpoint(std::string_view origin, const crypto::VerifyKey& key) {
    const FileSystem::Path path = folder_ / "checkpoint";
    if (!fs_.exists(path)) {
      fault("ledger.checkpoint", path.string(), 0, "there is no signed checkpoint");
    } else {
      try {
        reading_.checkpoint =
            open_checkpoint(read_text(fs_, path, 1U << 20U), origin, key, path.string());
      } catch (const Error& error) {
        const ErrorFields& f = error.fields();
        fault("ledger.checkpoint", path.string(), 0,
              f.what + (f.found.empty() ? "" : "; found: " + f.found) +
                  (f.expected.empty() ? "" : "; expected: " + f.expected));
      }
    }
    if (reading_.checkpoint) compare(reading_.checkpoint->head);
  }

  void compare(const Head& head) {
    const std::uint64_t lines = reading_.leaves.size();
    if (lines < head.size) {
      fault("ledger.rolled_back", reading_.file, lines + 1,
            "the log ends after " + std::to_string(lines) + " whole lines" +
                (torn_bytes_ > 0 ? " and " + std::to_string(torn_bytes_) + " bytes" : "") +
                "; its checkpoint covers " + std::to_string(head.size));
    } else if (*reading_.root_at(head.size) != head.root) {
      fault("ledger.root", reading_.file, 0,
            "a line among 1 to " + std::to_string(head.size) +
                " is not what was signed: the root is " + reading_.root_at(head.size)->hex() +
                ", the checkpoint says " + head.root.hex());
    }
  }

  FileSystem& fs_;
  FileSystem::Path folder_;
  LogReading reading_;
  std::set<std::string, std::less<>> keys_;
  std::uint64_t torn_bytes_ = 0;
};

}  // namespace

std::string Fault::text() const {
  return file + ":" + (line > 0 ? std::to_string(line) + ": " : " ") + check + ": " + detail;
}

std::optional<Digest> LogReading::root_at(std::uint64_t size) const {
  if (size > leaves.size()) return std::nullopt;
  return crypto::merkle_root(std::span(leaves).first(size));
}

LogReading read_log(FileSystem& fs, const FileSystem::Path& folder, std::string_view origin,
                    const crypto::VerifyKey& key) {
  return LogReader(fs, folder).read(origin, key);
}

bool verify_entry(std::string_view line, std::uint64_t index, const Head& head,
                  std::span<const Digest> path) {
  return crypto::verify_inclusion(crypto::merkle_leaf(as_bytes(line)), index, head.size, path,
                                  head.root);
}

bool verify_growth(const Head& older, const Head& newer, std::span<const Digest> path) {
  if (older.size == 0 || older.size > newer.size) return false;
  if (older.size == newer.size) return path.empty() && older.root == newer.root;
  return crypto::verify_consistency(older.size, newer.size, path, older.root, newer.root);
}

}  // namespace concordat::ledger
